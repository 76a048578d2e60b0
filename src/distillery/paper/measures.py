"""The measures that tables and figures know, and which of them speak for each benchmark."""

from __future__ import annotations

from dataclasses import dataclass, replace

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
NONE = "\N{EN DASH}"
"""Cell of a value that does not exist."""


@dataclass(frozen=True)
class Measure:
    """One number of a metrics file."""

    key: str
    """Name in `numbers` of the metrics."""
    label: str
    """Column head."""
    scale: float = 1.0
    """Printed number = fraction * scale."""
    decimals: int = 3
    """Printed decimals."""
    lower_is_better: bool = False
    """Whether a smaller number is the better one."""

    def text(self, fraction: float, *, sign: bool = False) -> str:
        """The printed number; a negative one has a true minus sign."""
        number = round(fraction * self.scale, self.decimals) + 0.0  # + 0.0 turns -0.0 into 0.0
        return f"{number:{'+' if sign else ''}.{self.decimals}f}".replace("-", MINUS)


# Each community's habit: trackers are printed as fractions with three decimals, person search in percent.
TRACKING = (
    Measure("auc", "AUC"),
    Measure("precision", "P (20 px)"),
    Measure("normalized_precision", "NP"),
    Measure("success_rate_50", "SR 0.5"),
    Measure("coverage", "coverage"),
    Measure("eao", "EAO"),
    Measure("accuracy", "A"),
    Measure("robustness", "R", lower_is_better=True),
    Measure("lost", "lost", decimals=1, lower_is_better=True),
    Measure("ao", "AO"),
    Measure("sr_50", "SR 0.50"),
    Measure("sr_75", "SR 0.75"),
)
PERSON_SEARCH = (
    Measure("map", "mAP", 100, 1),
    Measure("top1", "top-1", 100, 1),
    Measure("top5", "top-5", 100, 1),
    Measure("top10", "top-10", 100, 1),
    Measure("ap", "det. AP", 100, 1),
    Measure("recall", "det. recall", 100, 1),
    Measure("map_true", "mAP, true boxes", 100, 1),
    Measure("top1_true", "top-1, true boxes", 100, 1),
)
TRUE_BOX = "_true"
"""End of the key of a measure of search on the annotated boxes, where nothing is detected."""
MEASURES = {measure.key: measure for measure in (*TRACKING, *PERSON_SEARCH)}

BENCHMARK_LABELS = {
    "otb100": "OTB-100",
    "dtb70": "DTB70",
    "vot2018": "VOT2018",
    "vot2019": "VOT2019",
    "lasot": "LaSOT",
    "trackingnet": "TrackingNet (held-out part)",
    "trackingnet_test": "TrackingNet (test, server)",
    "got10k": "GOT-10k (validation part)",
    "got10k_test": "GOT-10k (test, server)",
    "cuhk_sysu": "CUHK-SYSU",
    "prw": "PRW",
    "prw_mini": "PRW-mini",
}
"""Benchmark, in the layout of which the data lie -> how readers see it."""

SERVER = {"trackingnet": "trackingnet_test", "got10k": "got10k_test"}
"""Benchmarks of which only a part can be scored here -> the name of the part that a server scores."""
AWAITING = "awaiting server"
"""Cell of a number that only the server can give."""

_ONE_PASS, _VOT = ("auc", "precision"), ("eao", "accuracy", "robustness")
HEADLINE: dict[str, tuple[str, ...]] = {
    "otb100": _ONE_PASS,
    "dtb70": _ONE_PASS,
    "vot2018": _VOT,
    "vot2019": _VOT,
    "lasot": ("auc", "normalized_precision"),
    "trackingnet": _ONE_PASS,
    "trackingnet_test": _ONE_PASS,
    "got10k": ("ao", "sr_50"),
    "got10k_test": ("ao", "sr_50"),
    "cuhk_sysu": ("map", "top1", "ap", "recall"),
    "prw": ("map", "top1", "ap", "recall"),
    # Its images are PRW's, and so is what is detected in them.
    "prw_mini": ("map", "top1"),
}
"""Benchmark -> the measures that papers print and whose paired differences are reported; the first ranks."""

_RENAMED = {
    # The server integrates precision over 0..50 px and normalised precision over 0..0.5.
    ("trackingnet", "auc"): "success",
    ("trackingnet", "precision"): "P (server)",
    ("trackingnet", "normalized_precision"): "NP (server)",
}
EQUIVALENCE = "auc"
"""The measure on which the equivalence margin is declared."""


def benchmark_label(name: str) -> str:
    """How readers see a benchmark; which data filled its layout is in the report's config."""
    return BENCHMARK_LABELS.get(name, name)


def headline(benchmark: str) -> tuple[str, ...]:
    """Keys of the measures that speak for a benchmark; an unknown one is taken for one-pass evaluation."""
    return HEADLINE.get(benchmark, _ONE_PASS)


def measure_of(benchmark: str, key: str) -> Measure:
    """A measure under the name that it has on a benchmark."""
    label = _RENAMED.get((benchmark.removesuffix("_test"), key))
    return replace(MEASURES[key], label=label) if label else MEASURES[key]


def first_measure(benchmark: str) -> Measure:
    """The measure that ranks a benchmark's results."""
    return measure_of(benchmark, headline(benchmark)[0])
