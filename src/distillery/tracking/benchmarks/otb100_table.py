"""The 100 sequences of OTB-100: which frames are scored, and their attributes.

Frame ranges: the benchmark's sequence configuration (Wu, Lim, Yang, "Object Tracking Benchmark", TPAMI 2015).
Tiger1 starts at frame 6, as its `initOmit` file and the common annotation collections have it.
Attributes: the list published with the benchmark (`data/tb_100.txt` of the authors' jwlim/tracker_benchmark). The
flag files of the authors' MATLAB toolkit (`anno/att`) differ from it in a few sequences (low resolution: 10 here,
9 there); where a copy holds `anno/att`, that is read instead.
"""

from __future__ import annotations

from dataclasses import dataclass

ATTRIBUTES = {
    "IV": "illumination variation",
    "OPR": "out-of-plane rotation",
    "SV": "scale variation",
    "OCC": "occlusion",
    "DEF": "deformation",
    "MB": "motion blur",
    "FM": "fast motion",
    "IPR": "in-plane rotation",
    "OV": "out of view",
    "BC": "background clutter",
    "LR": "low resolution",
}
"""Short and full names, in the order of the flags in `anno/att/NAME.txt` (the toolkit's `perfPlot.m`)."""

_TABLE = """
Basketball 1-725 IV OPR OCC DEF BC
Biker 1-142 OPR SV OCC MB FM OV LR
Bird1 1-408 DEF FM OV
Bird2 1-99 OPR OCC DEF FM IPR
BlurBody 1-334 SV DEF MB FM IPR
BlurCar1 247-988 MB FM
BlurCar2 1-585 SV MB FM
BlurCar3 3-359 MB FM
BlurCar4 18-397 MB FM
BlurFace 1-493 MB FM IPR
BlurOwl 1-631 SV MB FM IPR
Board 1-698 OPR SV MB FM OV BC
Bolt 1-350 OPR OCC DEF IPR
Bolt2 1-293 DEF BC
Box 1-1161 IV OPR SV OCC MB IPR OV BC LR
Boy 1-602 OPR SV MB FM IPR
Car1 1-1020 IV SV MB FM BC LR
Car2 1-913 IV SV MB FM BC
Car24 1-3059 IV SV BC
Car4 1-659 IV SV
CarDark 1-393 IV BC
CarScale 1-252 OPR SV OCC FM IPR
ClifBar 1-472 SV OCC MB FM IPR OV BC
Coke 1-291 IV OPR OCC FM IPR BC
Couple 1-140 OPR SV DEF FM BC
Coupon 1-327 OCC BC
Crossing 1-120 OPR SV DEF FM BC
Crowds 1-347 IV DEF BC
Dancer 1-225 OPR SV DEF IPR
Dancer2 1-150 DEF
David 300-770 IV OPR SV OCC DEF MB IPR
David2 1-537 OPR IPR
David3 1-252 OPR OCC DEF BC
Deer 1-71 MB FM IPR BC LR
Diving 1-215 SV DEF IPR
Dog 1-127 OPR SV DEF
Dog1 1-1350 OPR SV IPR
Doll 1-3872 IV OPR SV OCC IPR
DragonBaby 1-113 OPR SV OCC MB FM IPR OV
Dudek 1-1145 OPR SV OCC DEF FM IPR OV BC
FaceOcc1 1-892 OCC
FaceOcc2 1-812 IV OPR OCC IPR
Fish 1-476 IV
FleetFace 1-707 OPR SV DEF MB FM IPR
Football 1-362 OPR OCC IPR BC
Football1 1-74 OPR IPR BC
Freeman1 1-326 OPR SV IPR
Freeman3 1-460 OPR SV IPR
Freeman4 1-283 OPR SV OCC IPR
Girl 1-500 OPR SV OCC IPR
Girl2 1-1500 OPR SV OCC DEF MB
Gym 1-767 OPR SV DEF IPR
Human2 1-1128 IV OPR SV MB
Human3 1-1698 OPR SV OCC DEF BC
Human4-2 1-667 IV SV OCC DEF
Human5 1-713 SV OCC DEF
Human6 1-792 OPR SV OCC DEF FM OV
Human7 1-250 IV SV OCC DEF MB FM
Human8 1-128 IV SV DEF
Human9 1-305 IV SV DEF MB FM
Ironman 1-166 IV OPR SV OCC MB FM IPR OV BC LR
Jogging-1 1-307 OPR OCC DEF
Jogging-2 1-307 OPR OCC DEF
Jump 1-122 OPR SV OCC DEF MB FM IPR
Jumping 1-313 MB FM
KiteSurf 1-84 IV OPR OCC IPR
Lemming 1-1336 IV OPR SV OCC FM OV
Liquor 1-1741 IV OPR SV OCC MB FM OV BC
Man 1-134 IV
Matrix 1-100 IV OPR SV OCC FM IPR BC
Mhyang 1-1490 IV OPR DEF BC
MotorRolling 1-164 IV SV MB FM IPR BC LR
MountainBike 1-228 OPR IPR BC
Panda 1-1000 OPR SV OCC DEF IPR OV LR
RedTeam 1-1918 OPR SV OCC IPR LR
Rubik 1-1997 OPR SV OCC IPR
Shaking 1-365 IV OPR SV IPR BC
Singer1 1-351 IV OPR SV OCC
Singer2 1-366 IV OPR DEF IPR BC
Skater 1-160 OPR SV DEF IPR
Skater2 1-435 OPR SV DEF FM IPR
Skating1 1-400 IV OPR SV OCC DEF BC
Skating2-1 1-473 OPR SV OCC DEF FM
Skating2-2 1-473 OPR SV OCC DEF FM
Skiing 1-81 IV OPR SV DEF IPR
Soccer 1-392 IV OPR SV OCC MB FM IPR BC
Subway 1-175 OCC DEF BC
Surfer 1-376 OPR SV FM IPR LR
Suv 1-945 OCC IPR OV
Sylvester 1-1345 IV OPR IPR
Tiger1 6-354 IV OPR OCC DEF MB FM IPR
Tiger2 1-365 IV OPR OCC DEF MB FM IPR OV
Toy 1-271 OPR SV FM IPR
Trans 1-124 IV SV OCC DEF
Trellis 1-569 IV OPR SV IPR BC
Twinnings 1-472 OPR SV
Vase 1-271 SV FM IPR
Walking 1-412 SV OCC DEF
Walking2 1-500 SV OCC LR
Woman 1-597 IV OPR SV OCC DEF MB FM
"""


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    first: int
    """Number of the first scored image."""
    last: int
    """Number of the last scored image."""
    attributes: frozenset[str]

    @property
    def rows(self) -> int:
        """Scored frames."""
        return self.last - self.first + 1

    @property
    def folder(self) -> str:
        """The official folder: sequences with several targets share one ("Jogging" for Jogging-1)."""
        return self.name.partition("-")[0]

    @property
    def target(self) -> str | None:
        """The target's number within its folder ("1" for Jogging-1), or None where there is one target only."""
        return self.name.partition("-")[2] or None

    @property
    def omitted(self) -> int:
        """Rows before the first scored one in files that count from image 1, for sequences annotated from there."""
        return 5 if self.name == "Tiger1" else 0


def _entry(line: str) -> Entry:
    name, span, *attributes = line.split()
    first, last = span.split("-")
    return Entry(name, int(first), int(last), frozenset(attributes))


SEQUENCES = {entry.name: entry for entry in map(_entry, _TABLE.strip().splitlines())}
"""Name -> entry, 100 of them."""
