"""Reads metrics files and checks their shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from distillery.config.paper_job import TRUE_BOXES, PaperJob, Part, Variant
from distillery.errors import UserError
from distillery.files import read_json
from distillery.paper.measures import TRUE_BOX, benchmark_label
from distillery.paper.statistics import Estimate, estimate
from distillery.paper.validation import Number, Record, validate

FULL = "full"
"""Gallery size that stands for all images."""
_REMEDY = "score the predictions again"


class Interval(Record):
    """The lengths over which VOT's expected overlap is averaged."""

    low: Annotated[int, Field(ge=1)]
    """First length, in frames."""
    high: Annotated[int, Field(ge=1)]
    """Last length."""
    source: str = ""
    """Where it comes from, in words."""


class Result(Record):
    """One metrics file: one variant and seed on one benchmark."""

    benchmark: str
    """Benchmark's name."""
    protocol: str
    """Scoring protocol."""
    model: str
    """Model."""
    variant: str
    """Variant."""
    seed: Annotated[int, Field(ge=0)]
    """Seed."""
    numbers: dict[str, Number | None]
    """Fractions 0..1 by measure; None where a measure is not defined."""
    counts: dict[str, Any] = Field(default_factory=dict)
    """What was scored."""
    gallery_size: int | None = None
    """Person search: images in the galleries of `numbers`, -1 for all."""
    by_gallery_size: dict[str, dict[str, Number | None]] = Field(default_factory=dict)
    """Person search: `numbers` by gallery size."""
    by_subset: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """CUHK-SYSU: `numbers` of the occluded and of the low-resolution queries."""
    on_true_boxes: dict[str, Number | None] = Field(default_factory=dict)
    """Person search: `numbers` of searching the annotated boxes instead of detections."""
    by_attribute: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Tracking: numbers by attribute, with the number of `sequences`."""
    curves: dict[str, list[Number]] = Field(default_factory=dict)
    """Tracking: `success`, `precision`, `normalized_precision` by threshold, `expected_overlap` by length."""
    interval: Interval | None = None
    """VOT: the lengths over which the expected overlap is averaged."""
    per_sequence: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Tracking: numbers by sequence."""
    per_query: Any = None
    """Person search: values by query."""
    inputs: dict[str, Any] = Field(default_factory=dict)
    """Hashes of what was scored; of a server's numbers those of its `answer` and of the `submission`."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Of a server's numbers: the `server`, and the `tracker` that was sent."""

    @property
    def key(self) -> str:
        """`model/variant`."""
        return f"{self.model}/{self.variant}"

    def value(self, measure: str) -> float | None:
        """One of the numbers; `…_true` is that on the annotated boxes, which some methods are given anyway."""
        if not measure.endswith(TRUE_BOX):
            return self.numbers.get(measure)
        given = self.numbers if self.key in TRUE_BOXES else self.on_true_boxes
        return given.get(measure.removesuffix(TRUE_BOX))


@dataclass(frozen=True)
class Results:
    """All metrics of a profile."""

    results: tuple[Result, ...]

    def of(self, benchmark: str, key: str) -> list[Result]:
        """The results of `model/variant` on a benchmark, by seed."""
        found = [result for result in self.results if (result.benchmark, result.key) == (benchmark, key)]
        return sorted(found, key=lambda result: result.seed)

    def values(self, benchmark: str, key: str, measure: str) -> dict[int, float]:
        """One measure by seed; empty where it was not scored."""
        found = {result.seed: result.value(measure) for result in self.of(benchmark, key)}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, benchmark: str, key: str, measure: str) -> Estimate | None:
        """Mean and interval of one measure over seeds; None where it was not scored."""
        return over_seeds(self.values(benchmark, key, measure))

    def at_gallery(self, benchmark: str, key: str, size: str, measure: str) -> dict[int, float]:
        """One measure by seed at a gallery size."""
        found = {r.seed: r.by_gallery_size.get(size, {}).get(measure) for r in self.of(benchmark, key)}
        return {seed: value for seed, value in found.items() if value is not None}

    def in_subset(self, benchmark: str, key: str, subset: str, measure: str) -> dict[int, float]:
        """One measure by seed over the queries of a subset."""
        found = {r.seed: r.by_subset.get(subset, {}).get(measure) for r in self.of(benchmark, key)}
        return {seed: float(value) for seed, value in found.items() if value is not None}

    def subsets(self, benchmark: str) -> list[str]:
        """All subsets of queries that any variant was scored with, by name."""
        return sorted({name for r in self.results if r.benchmark == benchmark for name in r.by_subset})

    def gallery_sizes(self, benchmark: str) -> list[str]:
        """All gallery sizes that any variant was scored with, ascending; "full" is the last."""
        mine = [result for result in self.results if result.benchmark == benchmark]
        sizes = {size for result in mine for size in result.by_gallery_size}
        return sorted(sizes, key=lambda size: (size == FULL, size != FULL and int(size)))

    def benchmarks(self, part: Part) -> list[str]:
        """The part's benchmarks that hold results, in its order."""
        return [name for name in part.benchmarks if any(result.benchmark == name for result in self.results)]

    def with_curve(self, part: Part, curve: str) -> list[str]:
        """The part's benchmarks of which any result holds a curve."""
        mine = {result.benchmark for result in self.results if curve in result.curves}
        return [name for name in part.benchmarks if name in mine]

    def variants(self, part: Part, benchmark: str, family: str | None = None) -> list[Variant]:
        """Variants with results on a benchmark: the part's in its order, then all others by name.

        With a family, its own and the trivial methods.
        """
        present = {result.key: result for result in self.results if result.benchmark == benchmark}
        listed = [variant for variant in part.variants if variant.key in present]
        known = {variant.key for variant in listed}
        others = [
            Variant(model=present[key].model, variant=present[key].variant, label=key, role="reference")
            for key in sorted(present.keys() - known)
        ]
        return [v for v in listed + others if family is None or v.model == family or v.role == "baseline"]


def over_seeds(values: dict[int, float]) -> Estimate | None:
    """Mean and interval of values by seed, None without any."""
    return estimate([values[seed] for seed in sorted(values)]) if values else None


def read_metrics(paths: Iterable[Path]) -> Results:
    """Reads metrics files.

    Raises:
        UserError: If there is none, one is missing or malformed, or two describe the same variant and seed.
    """
    results: dict[tuple[str, str, int], Result] = {}
    origin: dict[tuple[str, str, int], Path] = {}
    for path in paths:
        result = validate(Result, read_json(path), path, _REMEDY)
        for size in result.by_gallery_size:
            if not size.isdecimal() and size != FULL:
                raise UserError("is not a gallery size", file=path, place=f"by_gallery_size.{size}", remedy=_REMEDY)
        identity = (result.benchmark, result.key, result.seed)
        if identity in origin:
            raise UserError(
                f"describes the same benchmark, variant and seed as {origin[identity]}",
                file=path,
                remedy="pass each result once",
            )
        origin[identity] = path
        results[identity] = result
    if not results:
        raise UserError("no metrics were given", remedy="pass the files that `distillery score` wrote")
    return Results(tuple(results.values()))


def require_seeds(job: PaperJob, results: Results) -> list[str]:
    """Sentences on trained variants of the job that lack a seed or any result; nothing is filled in for them.

    Ablations may be run on some benchmarks only, so those without any result at all are passed over.
    """
    notes: list[str] = []
    for part in (job.tracking, job.person_search):
        wanted = part.benchmarks if job.target == "headline" else tuple(results.benchmarks(part))
        for variant in part.variants:
            expected: Sequence[int] = (0,) if variant.role == "baseline" else job.seeds
            lacking: dict[str, list[str]] = {}
            for benchmark in (name for name in wanted if name in (variant.benchmarks or wanted)):
                present = {result.seed for result in results.of(benchmark, variant.key)}
                missing = ", ".join(str(seed) for seed in expected if seed not in present)
                if missing:
                    lacking.setdefault(missing, []).append(benchmark_label(benchmark))
            notes += [
                f"{variant.label} has no result on {', '.join(names)} for seed {seeds}"
                for seeds, names in lacking.items()
            ]
    return notes
