"""How much each official set holds, for `distillery check --counts official`.

Only figures that were measured on the official annotations, or that their authors publish, stand here; a set's other
counts are reported and not compared.
"""

from __future__ import annotations

from distillery.data.checking import CheckReport

_LISTED = "the official list of sequences"
_PAGE = "its authors"
OFFICIAL: dict[str, dict[str, tuple[tuple[int, ...], str]]] = {
    "otb100": {
        "sequences": ((100,), _LISTED),
        # Tiger1's first five frames, which some annotation collections keep, are not counted.
        "frames": ((59_035,), "the official annotations"),
    },
    "dtb70": {"sequences": ((70,), _LISTED), "frames": ((15_777,), "the official annotations")},
    "vot2018": {"sequences": ((60,), _LISTED), "frames": ((21_356,), "the official annotations")},
    "vot2019": {"sequences": ((60,), _LISTED)},
    "lasot": {"sequences": ((280,), _LISTED), "frames": ((685_360,), "the official annotations")},
    "trackingnet": {"test_sequences": ((511,), _PAGE), "train_11_sequences": ((2_511,), _PAGE)},
    "got10k": {"train_sequences": ((9_335,), _PAGE), "val_sequences": ((180,), _PAGE)},
    # One annotation a frame. Of COCO and DET the reports count images with objects, whose number nobody gives.
    "vid": {"videos": ((3_862,), _PAGE), "frames": ((1_122_397,), _PAGE)},
    "cuhk_sysu": {
        "images": ((18_184,), _PAGE),
        "train_images": ((11_206,), _PAGE),
        "test_images": ((6_978,), _PAGE),
        "train_identities": ((5_532,), _PAGE),
        **{f"queries_TestG{size}": ((2_900,), _PAGE) for size in (50, 100, 500, 1000, 2000, 4000)},
    },
    "prw": {
        "train_frames": ((5_704,), _PAGE),
        "test_frames": ((6_112,), _PAGE),
        # The authors say 482; the annotations hold 483 (1 to 478, 480 to 483 and 932).
        "train_identities": ((482, 483), "its authors and its annotations"),
        "queries_prw": ((2_057,), _PAGE),
    },
}
"""Benchmark -> count of its report -> (accepted values, who says so)."""
OPTIONAL = {
    "got10k": {"test_sequences": ((180,), _PAGE)},
    "prw": {"queries_prw_mini": ((30,), "its authors")},
}
"""Counts that are compared only where there are any: parts that not everybody needs."""


def compare_counts(report: CheckReport) -> None:
    """Compares a report's counts with the official ones: fewer is something missing, more is a fault."""
    wanted = dict(OFFICIAL.get(report.benchmark, {}))
    optional = OPTIONAL.get(report.benchmark, {})
    wanted |= {name: row for name, row in optional.items() if report.counts.get(name)}
    if not wanted:
        report.notes.append(f"no official counts of {report.benchmark} are known")
    for name, (accepted, source) in wanted.items():
        report.expected[name] = accepted
        found = report.counts.get(name, 0)
        if found in accepted:
            continue
        sentence = (
            f"{report.root}: holds {found} {name.replace('_', ' ')}, the official set {_either(accepted)} ({source})."
        )
        (report.missing if found < min(accepted) else report.faults.append)(sentence)


def _either(accepted: tuple[int, ...]) -> str:
    return " or ".join(map(str, accepted))
