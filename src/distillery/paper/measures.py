"""The measures that tables and figures know: key in the metrics, label, and how a fraction is printed."""

from __future__ import annotations

from dataclasses import dataclass

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
    scale: float
    """Printed number = fraction * scale."""
    decimals: int
    """Printed decimals."""

    def text(self, fraction: float, *, sign: bool = False) -> str:
        """The printed number; a negative one has a true minus sign."""
        return f"{fraction * self.scale:{'+' if sign else ''}.{self.decimals}f}".replace("-", MINUS)


# Each community's habit: trackers are printed as fractions with three decimals, person search in percent.
TRACKING = (
    Measure("auc", "AUC", 1, 3),
    Measure("precision", "P (20 px)", 1, 3),
    Measure("normalized_precision", "NP", 1, 3),
    Measure("success_rate_50", "SR 0.5", 1, 3),
    Measure("eao", "EAO", 1, 3),
    Measure("accuracy", "A", 1, 3),
    Measure("robustness", "R", 1, 3),
    Measure("ao", "AO", 1, 3),
    Measure("sr_50", "SR 0.50", 1, 3),
    Measure("sr_75", "SR 0.75", 1, 3),
)
PERSON_SEARCH = (
    Measure("map", "mAP", 100, 1),
    Measure("top1", "top-1", 100, 1),
    Measure("top5", "top-5", 100, 1),
    Measure("top10", "top-10", 100, 1),
    Measure("ap", "det. AP", 100, 1),
    Measure("recall", "det. recall", 100, 1),
)
MEASURES = {measure.key: measure for measure in (*TRACKING, *PERSON_SEARCH)}
HEADLINE = {"tracking": ("auc", "precision"), "person_search": ("map", "top1", "ap", "recall")}
"""Measures whose paired differences are reported, by paper; the first is the headline."""
