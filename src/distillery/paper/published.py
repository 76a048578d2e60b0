"""Published values that stand beside ours, each with its evidence mark and source.

The mini worlds are not the published benchmarks: only directions may be compared, never absolute values.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    variant: str | None
    """Our `model/variant` it is the counterpart of, or a row's `counterpart`; None where we have none."""
    name: str
    """What the source calls it."""
    mark: Mark
    """Evidence mark of all its values."""
    source: str
    """Where the values stand."""
    values: dict[str, float] = field(default_factory=dict)
    """Fractions 0..1 by measure; for size and speed `bytes`, `ratio`, `fps`, `speedup`."""


_KD_PAGE = "project page of Knowledge Distillation for End-to-End Person Search (CUHK-SYSU, gallery 100)"
_QEEPS = "README of Query-guided-End-to-End-Person-Search"
_SIAMFC = "README of siamfc-pytorch (trained on GOT-10k)"
_DASIAM = "README of DaSiamRPN"
_ZOO = "model zoo of pysot"
_RECALLED = "recalled from the article, low confidence"
_WIDELY = "recalled from the benchmark's article"
_THESIS = "Danier's thesis, table 4.4: the method on another tracker, not a number of the paper"
_FIRST = "abstract and introduction, first version"
_LATER = "abstract, later version; of which tracker is not said"


def _row(benchmark: str | None, variant: str | None, name: str, mark: Mark, source: str, **values: float) -> Published:
    return Published(benchmark, variant, name, mark, source, values)


_TEACHERS = (
    _row("otb100", "siamfc/teacher", "SiamFC", "found", _SIAMFC, auc=0.578, precision=0.765),
    _row("dtb70", "siamfc/teacher", "SiamFC", "found", _SIAMFC, auc=0.493, precision=0.731),
    _row("got10k_test", "siamfc/teacher", "SiamFC", "found", _SIAMFC, ao=0.355),
    _row("vot2018", "siamfc/teacher", "SiamFC", "found", _SIAMFC, accuracy=0.502),
    _row(
        "lasot", "siamfc/teacher", "SiamFC", "unverified", _WIDELY,
        auc=0.336, precision=0.339, normalized_precision=0.42,
    ),
    _row(
        "trackingnet_test", "siamfc/teacher", "SiamFC", "unverified", _WIDELY,
        auc=0.571, precision=0.533, normalized_precision=0.663,
    ),
    _row("vot2018", "siamrpn/teacher", "SiamRPN, large", "found", _DASIAM, eao=0.383, accuracy=0.59, robustness=0.28),
    _row(
        "otb100", "siamrpn/teacher", "SiamRPN, large", "found", "issue 19 of DaSiamRPN, a user's measurement",
        auc=0.6397, precision=0.8466,
    ),
    _row("vot2018", "siamrpnpp/teacher", "SiamRPN++, ResNet-50", "found", _ZOO, eao=0.415),
    _row(
        "vot2019", "siamrpnpp/teacher", "SiamRPN++, ResNet-50", "found", _ZOO,
        eao=0.287, accuracy=0.595, robustness=0.467,
    ),
    _row("otb100", "siamrpnpp/teacher", "SiamRPN++, ResNet-50 (OTB model)", "found", _ZOO, auc=0.696, precision=0.914),
)  # fmt: skip

_STUDENTS = (
    _row(
        "otb100", "siamfc/dim-tsskd", "DSTfc", "unverified", f"{_RECALLED}; precision: the middle of 0.76 to 0.77",
        auc=0.573, precision=0.765,
    ),
    _row("vot2019", "siamfc/dim-tsskd", "DSTfc", "unverified", _RECALLED, eao=0.182, accuracy=0.504, robustness=0.923),
    _row("lasot", "siamfc/dim-tsskd", "DSTfc", "unverified", _RECALLED, auc=0.34, normalized_precision=0.408),
    _row("trackingnet_test", "siamfc/dim-tsskd", "DSTfc", "unverified", _RECALLED, auc=0.562, precision=0.512),
    _row("otb100", "siamrpn/dim-tsskd", "DSTrpn", "unverified", _RECALLED, auc=0.646, precision=0.85),
    _row("dtb70", "siamrpn/dim-tsskd", "DSTrpn", "unverified", _RECALLED, auc=0.556, precision=0.734),
    _row(
        "vot2019", "siamrpn/dim-tsskd", "DSTrpn", "unverified", _RECALLED,
        eao=0.247, accuracy=0.552, robustness=0.697,
    ),
    _row("lasot", "siamrpn/dim-tsskd", "DSTrpn", "unverified", _RECALLED, auc=0.434, normalized_precision=0.513),
    _row("trackingnet_test", "siamrpn/dim-tsskd", "DSTrpn", "unverified", _RECALLED, auc=0.649, precision=0.589),
    _row("otb100", None, "TSKD on ATOM, MobileNetV2", "found", _THESIS, auc=0.551, precision=0.742),
    _row("lasot", None, "TSKD on ATOM, MobileNetV2", "found", _THESIS, auc=0.384, normalized_precision=0.433),
    _row(
        "trackingnet_test", None, "TSKD on ATOM, MobileNetV2", "found", _THESIS,
        auc=0.632, precision=0.569, normalized_precision=0.7,
    ),
)  # fmt: skip

_SEARCH = (
    _row(
        "cuhk_sysu", "oim/large/plain", "Detect + OIM, ResNet-50", "found", _KD_PAGE,
        map=0.780, top1=0.779, ap=0.752, recall=0.827,
    ),
    _row(
        "cuhk_sysu", "oim/large/table", "Detect + OIM with QEEPS teacher, ResNet-50", "found", _KD_PAGE,
        map=0.838, top1=0.842, ap=0.817, recall=0.868,
    ),
    _row(
        "cuhk_sysu", "oim/small/plain", "Detect + OIM, ResNet-18", "found", _KD_PAGE,
        map=0.691, top1=0.680, ap=0.742, recall=0.816,
    ),
    _row(
        "cuhk_sysu", "oim/small/table", "Detect + OIM with QEEPS teacher, ResNet-18", "found", _KD_PAGE,
        map=0.824, top1=0.830, ap=0.808, recall=0.860,
    ),
    _row("cuhk_sysu", "qeeps/large/plain", "QEEPS, ResNet-50", "found", _KD_PAGE, map=0.844, top1=0.844),
    _row(
        "cuhk_sysu", None, "the paper's best entry (that it is QEEPS with distillation is recalled)", "found",
        "a third party's list of results", map=0.850, top1=0.855,
    ),
    _row(
        "cuhk_sysu", None, "OIM, the authors' code", "found", "README of ShuangLI59/person_search",
        map=0.7547, top1=0.7862, top5=0.9024, top10=0.9238,
    ),
    _row(
        "cuhk_sysu", None, "OIM, shorter side 900", "found", "issue 6 of Query-guided-End-to-End-Person-Search",
        map=0.833, top1=0.842,
    ),
    _row("cuhk_sysu", None, "QEEPS, shorter side 900", "found", _QEEPS, map=0.889, top1=0.891),
    _row("prw", None, "QEEPS, shorter side 900", "found", _QEEPS, map=0.371, top1=0.767),
    _row("prw_mini", "qeeps/large/plain", "QEEPS, shorter side 900", "found", _QEEPS, map=0.391, top1=0.800),
    _row("prw_mini", None, "Mask-G", "found", _QEEPS, map=0.331, top1=0.700),
    _row(
        "prw", "oim/large/plain", "OIM, as others cite it", "unverified",
        "recalled from later articles on person search", map=0.213, top1=0.499,
    ),
)  # fmt: skip
"""Person search; counterparts are named `method/size/teaching`, whatever a profile calls its networks and students."""

_SIZES = (
    _row(
        None, "siamfc/teacher", "SiamFC", "measured", "size of the published AlexNet backbone in 32-bit floats",
        bytes=9_354_000, ratio=1.0,
    ),
    _row(
        None, "siamfc/dim-tsskd", "DSTfc", "inferred",
        f"{_FIRST}: 13x to 18x over two trackers, of which SiamFC is taken for the lower end", ratio=13.0,
    ),
    _row(
        None, "siamrpn/teacher", "SiamRPN, large", "measured", "size of DaSiamRPN's large network in 32-bit floats",
        bytes=361_770_000, ratio=1.0,
    ),
    _row(
        None, "siamrpn/intelligent-tsskd", "SiamRPN, large, channels halved", "measured",
        "size of that network with half the channels in 32-bit floats", bytes=90_530_000, ratio=4.0,
    ),
    _row(
        None, "siamrpn/dim-tsskd", "DSTrpn", "inferred",
        f"{_FIRST}: 13x to 18x over two trackers, of which SiamRPN is taken for the upper end", ratio=18.0,
    ),
    _row(None, "siamfc/teacher", "SiamFC", "found", _FIRST, fps=86),
    _row(None, "siamrpn/teacher", "SiamRPN", "found", _FIRST, bytes=361_800_000, fps=90),
    _row(None, None, "distilled trackers, at best", "found", _LATER, ratio=18.0, fps=265, speedup=3),
)  # fmt: skip

PUBLISHED: tuple[Published, ...] = (*_TEACHERS, *_STUDENTS, *_SEARCH, *_SIZES)


def published_values(benchmark: str | None, variant: str) -> Published | None:
    """The published counterpart of a row, by its `model/variant` or its `counterpart`, or None."""
    return next((entry for entry in PUBLISHED if (entry.benchmark, entry.variant) == (benchmark, variant)), None)


_WEAKEST: tuple[Mark, ...] = ("measured", "found", "inferred", "unverified")


def published_sum(
    benchmark: str, measure: str, plus: Sequence[str], minus: Sequence[str]
) -> tuple[float, Mark, str] | None:
    """Published values of some rows minus those of others: the number, the weakest of their marks and their sources.

    None unless each of the rows has a published counterpart with the measure.
    """
    entries = [published_values(benchmark, name) for name in (*plus, *minus)]
    known = [entry for entry in entries if entry is not None and measure in entry.values]
    if len(known) < len(entries):
        return None
    signs = [1] * len(plus) + [-1] * len(minus)
    number = sum(sign * entry.values[measure] for sign, entry in zip(signs, known, strict=True))
    mark = max((entry.mark for entry in known), key=_WEAKEST.index)
    return number, mark, "; ".join(dict.fromkeys(entry.source for entry in known))
