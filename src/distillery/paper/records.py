"""Reads what the other stages wrote (metrics, sidecars, training curves, compute profile) and checks its shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distillery.config.paper import PaperJob, Part, Variant
from distillery.errors import UserError
from distillery.files import read_json

FULL = "full"
"""Gallery size that stands for all images."""

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    # Strict about what is used, silent about the rest: other stages may add to their files.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Result(_Record):
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
    counts: dict[str, Any] = {}
    """What was scored."""
    by_gallery_size: dict[str, dict[str, Number | None]] = {}
    """Person search: `numbers` by gallery size."""
    by_attribute: dict[str, Any] = {}
    """Tracking: numbers by attribute."""
    curves: dict[str, list[Number]] = {}
    """Tracking: `success` and `precision`, fractions by threshold."""
    per_sequence: dict[str, dict[str, Any]] = {}
    """Tracking: numbers by sequence."""
    per_query: Any = None
    """Person search: values by query."""

    @property
    def key(self) -> str:
        """`model/variant`."""
        return f"{self.model}/{self.variant}"


class Compute(_Record):
    """Cost of one network."""

    parameters: Annotated[int, Field(ge=0)]
    """Number of learnt parameters."""
    bytes: Annotated[int, Field(ge=0)]
    """Their size as 32-bit floats."""
    macs: Annotated[float, Field(ge=0)] | None = None
    """Multiply-accumulate operations of one step."""
    milliseconds: Annotated[float, Field(gt=0)] | None = None
    """Median time of one step."""
    fps: Annotated[float, Field(gt=0)] | None = None
    """Steps a second."""
    step: str | None = None
    """What one step is ("one frame: 3 scales of 255 px")."""


class ComputeProfile(_Record):
    """compute.json: what every network costs, measured on one machine in one way."""

    convention: str
    """How it was measured, in words."""
    machine: dict[str, Any]
    """Where: `device`, `processor`, `threads`."""
    networks: Annotated[dict[str, Compute], Field(min_length=1)]
    """Cost by `model/variant`."""

    @property
    def place(self) -> str:
        """The machine in words."""
        device, threads = str(self.machine.get("device", "unknown device")), self.machine.get("threads")
        if device != "cpu":
            return device
        processor = f"one CPU ({self.machine['processor']})" if self.machine.get("processor") else "one CPU"
        return f"{processor}, {threads} thread{'' if threads == 1 else 's'}" if threads else processor


class Sidecar(_Record):
    """What tables need of a checkpoint's sidecar."""

    parameter_count: Annotated[int, Field(ge=0)]
    """Number of learnt parameters."""
    bytes: Annotated[int, Field(ge=0)]
    """Their size as 32-bit floats."""


R = TypeVar("R", bound=BaseModel)


def _validate(record: type[R], value: Any, path: Path, remedy: str, place: str | None = None) -> R:
    try:
        return record.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join([*([place] if place else []), *(str(part) for part in fault["loc"])])
        problem = "a required key is missing" if fault["type"] == "missing" else fault["msg"].lower()
        raise UserError(problem, file=path, place=where or None, remedy=remedy) from None


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
        found = {result.seed: result.numbers.get(measure) for result in self.of(benchmark, key)}
        return {seed: value for seed, value in found.items() if value is not None}

    def at_gallery(self, benchmark: str, key: str, size: str, measure: str) -> dict[int, float]:
        """One measure by seed at a gallery size."""
        found = {r.seed: r.by_gallery_size.get(size, {}).get(measure) for r in self.of(benchmark, key)}
        return {seed: value for seed, value in found.items() if value is not None}

    def gallery_sizes(self, benchmark: str) -> list[str]:
        """All gallery sizes that any variant was scored with, ascending; "full" is the last."""
        mine = [result for result in self.results if result.benchmark == benchmark]
        sizes = {size for result in mine for size in result.by_gallery_size}
        return sorted(sizes, key=lambda size: (size == FULL, size != FULL and int(size)))

    def benchmarks(self, part: Part) -> list[str]:
        """The part's benchmarks that hold results, in its order."""
        return [name for name in part.benchmarks if any(result.benchmark == name for result in self.results)]

    def variants(self, part: Part, benchmark: str) -> list[Variant]:
        """Variants with results on a benchmark: the part's in its order, then all others by name."""
        present = {result.key: result for result in self.results if result.benchmark == benchmark}
        listed = [variant for variant in part.variants if variant.key in present]
        known = {variant.key for variant in listed}
        others = [
            Variant(model=present[key].model, variant=present[key].variant, label=key, role="reference")
            for key in sorted(present.keys() - known)
        ]
        return listed + others


def read_metrics(paths: Iterable[Path]) -> Results:
    """Reads metrics files.

    Raises:
        UserError: If there is none, one is missing or malformed, or two describe the same variant and seed.
    """
    results: list[Result] = []
    origin: dict[tuple[str, str, int], Path] = {}
    for path in paths:
        result = _validate(Result, read_json(path), path, "score the predictions again")
        for size in result.by_gallery_size:
            if not size.isdecimal() and size != FULL:
                raise UserError(
                    "is not a gallery size", file=path, place=f"by_gallery_size.{size}", remedy="score it again"
                )
        identity = (result.benchmark, result.key, result.seed)
        if identity in origin:
            raise UserError(
                f"describes the same benchmark, variant and seed as {origin[identity]}",
                file=path,
                remedy="pass each result once",
            )
        origin[identity] = path
        results.append(result)
    if not results:
        raise UserError("no metrics were given", remedy="pass the files that `distillery score` wrote")
    return Results(tuple(results))


def read_compute(path: Path) -> ComputeProfile:
    """Reads compute.json."""
    return _validate(ComputeProfile, read_json(path), path, "run `distillery profile-networks` again")


@dataclass(frozen=True)
class Origin:
    """What the path of a training's file says: `…/<paper>/<model>/<variant>/seed<k>.<suffix>`."""

    paper: str
    model: str
    variant: str
    seed: int

    @property
    def key(self) -> str:
        """`model/variant`."""
        return f"{self.model}/{self.variant}"


def origin_of(path: Path) -> Origin:
    """Reads model, variant and seed off a path in the layout of checkpoints/."""
    parts = Path(path).parts
    digits = Path(path).stem.removeprefix("seed")
    if len(parts) < 4 or not Path(path).stem.startswith("seed") or not digits.isdecimal():
        raise UserError(
            "its path does not say whose training it is",
            file=path,
            remedy="pass files of the layout <paper>/<model>/<variant>/seed<k>",
        )
    return Origin(paper=parts[-4], model=parts[-3], variant=parts[-2], seed=int(digits))


def read_sidecars(paths: Iterable[Path]) -> dict[str, Sidecar]:
    """Reads sidecars of checkpoints: size by `model/variant`; files of several seeds must agree.

    Sidecars that describe no network (look-up tables) are passed over.
    """
    found: dict[str, Sidecar] = {}
    for path in paths:
        value = read_json(path)
        if isinstance(value, dict) and "parameter_count" not in value:
            continue
        sidecar, key = _validate(Sidecar, value, path, "train it again"), origin_of(path).key
        if found.setdefault(key, sidecar) != sidecar:
            raise UserError(
                f"has {sidecar.parameter_count} parameters, another seed of {key} has {found[key].parameter_count}",
                file=path,
                remedy="train all seeds with one config",
            )
    return found


def check_sizes(compute: ComputeProfile, sidecars: Mapping[str, Sidecar], source: Path) -> None:
    """Refuses a compute profile that describes other networks than the checkpoints."""
    for key, sidecar in sidecars.items():
        cost = compute.networks.get(key)
        if cost is not None and cost.parameters != sidecar.parameter_count:
            raise UserError(
                f"counts {cost.parameters} parameters, the checkpoint has {sidecar.parameter_count}",
                file=source,
                place=f"networks.{key}",
                remedy="run `distillery profile-networks` again",
            )


def require_seeds(job: PaperJob, results: Results) -> list[str]:
    """Sentences on trained variants of the job that lack a seed or any result; nothing is filled in for them."""
    notes: list[str] = []
    for part in (job.tracking, job.person_search):
        for benchmark in part.benchmarks:
            for variant in part.variants:
                expected: Sequence[int] = (0,) if variant.role == "baseline" else job.seeds
                present = {result.seed for result in results.of(benchmark, variant.key)}
                missing = [str(seed) for seed in expected if seed not in present]
                if missing:
                    notes.append(f"{variant.label} has no result on {benchmark} for seed {', '.join(missing)}")
    return notes
