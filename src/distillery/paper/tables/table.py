"""What a table is: rows made from what other stages wrote, and columns made from the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from distillery.config.paper_job import PaperJob, Part, Variant
from distillery.paper.costs import ComputeProfile, Sidecar
from distillery.paper.display import Body, Column, Row, Shown
from distillery.paper.logs import Curve
from distillery.paper.lookups import Lookup
from distillery.paper.origin import Origin
from distillery.paper.records import Results
from distillery.paper.searches import Search
from distillery.paper.statistics import Estimate


@dataclass(frozen=True)
class Inputs:
    """Everything that tables are made of."""

    job: PaperJob
    results: Results
    compute: ComputeProfile
    sidecars: Mapping[str, Sidecar]
    curves: Mapping[Origin, Curve] = field(default_factory=dict)
    searches: Sequence[Search] = ()
    lookups: Mapping[Origin, Lookup] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A kind of table: its rows go to the CSV with full precision, and the printed cells follow from them alone."""

    title: str
    caption: str
    rows: Callable[[Inputs], list[Row]]
    bodies: Callable[[pd.DataFrame], list[Body]]
    measured: Callable[[pd.DataFrame], str] | None = None
    """What the caption says first, from the rows: about the machine, or answers of servers."""

    def shown(self, name: str, frame: pd.DataFrame) -> Shown:
        """The printed form; a frame without rows says so."""
        if not len(frame):
            return Shown(name, self.title, self.caption, (Body((Column("no results", "l", ()),)),))
        caption = f"{self.measured(frame)} {self.caption}".strip() if self.measured else self.caption
        return Shown(name, self.title, caption, tuple(self.bodies(frame)))


def estimated(name: str, value: Estimate | None) -> Row:
    """An estimate as CSV columns; absent ends stay empty."""
    return {
        name: value.mean if value else None,
        f"{name}_low": value.low if value else None,
        f"{name}_high": value.high if value else None,
        f"{name}_seeds": value.seeds if value else 0,
    }


def head(variant: Variant, benchmark: str | None = None) -> Row:
    """The columns that say whose row it is, and of which benchmark."""
    return ({"benchmark": benchmark} if benchmark else {}) | {
        "model": variant.model,
        "variant": variant.variant,
        "label": variant.label,
        "role": variant.role,
        "true_boxes": variant.true_boxes,
    }


def size_ratios(part: Part, inputs: Inputs, benchmark: str = "") -> dict[str, float]:
    """Bytes of the compared network / own bytes, by variant; only where both are known.

    Args:
        part: Its variants.
        inputs: What is known of sizes.
        benchmark: Person search: where the networks of one training set are tested.
    """
    sizes = {name: cost.bytes for name, cost in inputs.compute.networks.items()}
    sizes |= {name: sidecar.bytes for name, sidecar in inputs.sidecars.items()}
    found = {}
    for variant in part.variants:
        base = part.network_of(benchmark, variant.compared_with) if variant.compared_with else ""
        own = part.network_of(benchmark, variant.key)
        if base in sizes and sizes.get(own):
            found[variant.key] = sizes[base] / sizes[own]
    return found
