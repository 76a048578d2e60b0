"""Published values that stand beside ours, each with its evidence mark and source.

The mini worlds are not the published benchmarks: only directions may be compared, never absolute values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Mark = Literal["found", "measured", "inferred", "unverified"]

MARKS: dict[Mark, str] = {
    "found": "read in a public source",
    "measured": "computed from the public definition",
    "inferred": "deduced from values that were found",
    "unverified": "recalled from the paper, not checked against it",
}


@dataclass(frozen=True)
class Published:
    """What a paper or its code's page says about the counterpart of one of our rows."""

    benchmark: str | None
    """Benchmark of the values; None for size and speed."""
    variant: str
    """Our `model/variant` it is the counterpart of."""
    name: str
    """What the source calls it."""
    mark: Mark
    """Evidence mark of all its values."""
    source: str
    """Where the values stand."""
    values: dict[str, float] = field(default_factory=dict)
    """Fractions 0..1 by measure; for size and speed `bytes`, `ratio`, `fps`, `speedup`."""


_KD_PAGE = "project page of Knowledge Distillation for End-to-End Person Search (CUHK-SYSU, gallery 100)"

PUBLISHED: tuple[Published, ...] = (
    Published(
        "otb100",
        "siamfc/teacher",
        "SiamFC",
        "found",
        "README of siamfc-pytorch (OTB2015, trained on GOT-10k)",
        {"auc": 0.578, "precision": 0.765},
    ),
    Published(
        "otb100",
        "siamfc/dim-tsskd",
        "DSTfc",
        "unverified",
        "recalled from the article, low confidence; the precision is the middle of 0.76 to 0.77",
        {"auc": 0.573, "precision": 0.765},
    ),
    Published(
        "cuhk_sysu",
        "oim/large-oim",
        "Detect + OIM, ResNet-50",
        "found",
        _KD_PAGE,
        {"map": 0.780, "top1": 0.779, "ap": 0.752, "recall": 0.827},
    ),
    Published(
        "cuhk_sysu",
        "oim/large-oim_table",
        "Detect + OIM with QEEPS teacher, ResNet-50",
        "found",
        _KD_PAGE,
        {"map": 0.838, "top1": 0.842, "ap": 0.817, "recall": 0.868},
    ),
    Published(
        "cuhk_sysu",
        "oim/small-oim",
        "Detect + OIM, ResNet-18",
        "found",
        _KD_PAGE,
        {"map": 0.691, "top1": 0.680, "ap": 0.742, "recall": 0.816},
    ),
    Published(
        "cuhk_sysu",
        "oim/small-oim_table",
        "Detect + OIM with QEEPS teacher, ResNet-18",
        "found",
        _KD_PAGE,
        {"map": 0.824, "top1": 0.830, "ap": 0.808, "recall": 0.860},
    ),
    Published(
        None,
        "siamfc/teacher",
        "SiamFC",
        "measured",
        "size of the published AlexNet backbone in 32-bit floats",
        {"bytes": 9_354_000, "ratio": 1.0},
    ),
    Published(
        None,
        "siamfc/dim-tsskd",
        "DSTfc",
        "inferred",
        "abstract, first version: 13x to 18x over two trackers, of which SiamFC is taken for the lower end",
        {"ratio": 13.0},
    ),
)


def published_values(benchmark: str | None, variant: str) -> Published | None:
    """The published counterpart of a row, or None."""
    return next((entry for entry in PUBLISHED if (entry.benchmark, entry.variant) == (benchmark, variant)), None)
