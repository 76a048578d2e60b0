"""Where the artefacts of a profile lie, and which pointer of DVC's stands for each part.

`data.dvc` and `checkpoints.dvc` hold all profiles; the results of each have a pointer of their own, because git keeps a
file of its own in `results/` and DVC takes no folder of which git holds a part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from distillery.errors import UserError

SHARED = ("data", "checkpoints")
"""Folders under DVC that hold every profile."""
HISTORY = "snakemake.json.xz"
"""Snakemake's own records of the jobs, in the results of a profile."""
RECORD = "store.json"
"""The last file that is written: what was stored. DVC does not hold it (`.dvcignore`), since it says what DVC holds."""


@dataclass(frozen=True)
class Part:
    """One part of what a profile has made.

    Attributes:
        name: `data`, `checkpoints` or `results`.
        folder: Its folder, relative to the project.
        pointer: File that git holds in its place.
        inside: Beginning of its paths in what the pointer stands for: "mini/", or "" where that is the part alone.
    """

    name: str
    folder: str
    pointer: str
    inside: str


def parts(profile: str) -> tuple[Part, ...]:
    """The parts of a profile.

    Raises:
        UserError: If the name is not one that a profile can have.
    """
    if not re.fullmatch(r"[a-z0-9_]+", profile):
        raise UserError(f"{profile!r} is not the name of a profile", remedy="use small letters, digits and _")
    shared = [Part(name, f"{name}/{profile}", f"{name}.dvc", f"{profile}/") for name in SHARED]
    return (*shared, Part("results", f"results/{profile}", f"results/{profile}.dvc", ""))


def targets(profile: str, root: Path) -> dict[str, Path]:
    """Target of the workflow -> its folder of results, for those of a profile that have their report here."""
    home = root / "results" / profile
    homes = {"headline": home, "ablations": home / "ablations"}
    return {target: folder for target, folder in homes.items() if (folder / "report.html").is_file()}
