"""Values of the command line beyond what argparse knows: NAME=VALUE pairs, labels, numbers, JSON, what to track."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.errors import UserError

if TYPE_CHECKING:
    from distillery.config.tracking import TrackJob

SEARCH_BENCHMARKS = ("cuhk_sysu", "prw", "prw_mini")
"""Benchmarks of person search; all others are of tracking."""
LABELS = ("model", "variant", "seed")
Label = dict[str, str | int]


def label(items: Sequence[str]) -> Label:
    """Model, variant and seed to record."""
    whose: Label = dict(pairs(items, "--label"))
    unknown = next((name for name in whose if name not in LABELS), None)
    if unknown is not None:
        raise UserError(f"{unknown!r} is no label", place="--label", remedy=f"give {', '.join(LABELS)} alone")
    if "seed" in whose:
        whose["seed"] = number(str(whose["seed"]), "--label seed")
    return whose


def pairs(items: Sequence[str], flag: str) -> dict[str, str]:
    """NAME=VALUE items of an option."""
    parts = [item.partition("=") for item in items]
    wrong = next((name for name, equals, value in parts if not (equals and value)), None)
    if wrong is not None:
        raise UserError(f"{wrong!r} is not NAME=VALUE", place=flag, remedy="write it with an equals sign")
    names = [name for name, _, _ in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice!r} is given twice", place=flag, remedy="give it once")
    return {name: value for name, _, value in parts}


def number(text: str, flag: str) -> int:
    """A whole number of an option."""
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{text[:20]!r} is not a whole number", place=flag, remedy="pass a number") from None


def plain_json(text: str) -> Any:
    """The value of --params."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond what Python takes
        why = error.msg if isinstance(error, json.JSONDecodeError) else "a number or its nesting is too large"
        raise UserError(f"is not valid JSON ({why})", file="--params", remedy="pass the rule's params") from None


def named_paths(items: Sequence[str], flag: str) -> dict[str, Path]:
    """NAME=PATH items of an option."""
    return {name: Path(value) for name, value in pairs(items, flag).items()}


PLACEHOLDER, FOLDER = "{checkpoint}", "{variant}"
"""Stand for the name of a checkpoint, and of its folder, in a path of results."""
Targets = dict[str, tuple[Path, Path]]


SEED = "{seed}"
"""Stands for the seed in the files of a command that trains for several."""


def each_seed(options: argparse.Namespace, *read: str) -> Iterator[tuple[dict[str, int], argparse.Namespace]]:
    """What to change in the parameters for each seed of `--seeds`, and the options with that seed's files.

    Args:
        options: With `seeds`, `out` and the options of `read`; without seeds they are yielded as they are, once.
        read: Options beside `out` whose files may differ from seed to seed.

    Raises:
        UserError: Before anything is yielded, if a seed is no whole number from 0 on, is given twice, or several seeds
            would write to one file.
    """
    seeds = [number(text, "--seeds") for text in options.seeds]
    wrong = next((seed for seed in seeds if seed < 0 or seeds.count(seed) > 1), None)
    if wrong is not None:
        problem = "is negative" if wrong < 0 else "is given twice"
        raise UserError(f"{wrong} {problem}", place="--seeds", remedy="give each seed once, from 0 on")
    one = next((item for item in _listed(options.out) if len(seeds) > 1 and SEED not in str(item)), None)
    if one is not None:
        raise UserError(f"all seeds would write {one}", place="--out", remedy=f"put {SEED} into the name of the file")
    if not seeds:
        yield {}, options
    for seed in seeds:
        files = {name: _of_seed(getattr(options, name), seed) for name in ("out", *read)}
        yield {"seed": seed}, argparse.Namespace(**vars(options) | files)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _of_seed(value: Any, seed: int) -> Any:
    """An option's file or files, or NAME=FILE items, for one seed."""
    if isinstance(value, list):
        return [_of_seed(item, seed) for item in value]
    return value if value is None else type(value)(str(value).replace(SEED, str(seed)))


def track_runs(options: argparse.Namespace) -> list[tuple[Path | None, Targets]]:
    """Each checkpoint of `distillery track`, or None for a trivial tracker, with its benchmarks, roots and results."""
    wanted, checkpoints = targets(options), options.checkpoint or []
    if not checkpoints:
        return [(None, wanted)]
    _check_apart(checkpoints, [results for _, results in wanted.values()])
    return [
        (checkpoint, {name: (root, _named(results, checkpoint)) for name, (root, results) in wanted.items()})
        for checkpoint in checkpoints
    ]


def search_runs(options: argparse.Namespace) -> list[tuple[Path | str, dict[str, Path]]]:
    """Each checkpoint of `distillery search`, or the trivial method, with the file to write for each benchmark."""
    wanted = named_paths(options.results, "--results")
    if not options.checkpoint:
        return [(options.baseline, wanted)]
    _check_apart(options.checkpoint, list(wanted.values()))
    return [
        (checkpoint, {name: _named(results, checkpoint) for name, results in wanted.items()})
        for checkpoint in options.checkpoint
    ]


def _check_apart(checkpoints: Sequence[Path], results: Sequence[Path]) -> None:
    """No two checkpoints may write to the same place."""
    owners: dict[Path, int] = {}
    for number, checkpoint in enumerate(checkpoints):
        for place in results:
            other = owners.setdefault(_named(place, checkpoint), number)
            if other == number:
                continue
            if checkpoints[other].stem != checkpoint.stem:
                problem = "several checkpoints would write to one place"
                raise UserError(problem, remedy=f"put {PLACEHOLDER} into the results")
            raise UserError(
                f"two checkpoints are called {checkpoint.stem}",
                place="--checkpoint",
                remedy=f"run them one by one, or put {FOLDER}, the name of their folder, into the results",
            )


def _named(results: Path, checkpoint: Path) -> Path:
    folder = Path(os.path.abspath(checkpoint)).parent.name  # of the link, where the file lies in a cache
    return Path(str(results).replace(PLACEHOLDER, checkpoint.stem).replace(FOLDER, folder))


def targets(options: argparse.Namespace) -> Targets:
    """Benchmark -> root and results of `distillery track`, each benchmark once."""
    wanted = [(name, Path(root), Path(results)) for name, root, results in options.on]
    if options.benchmark:
        if options.root is None or options.results is None:
            raise UserError(
                "a benchmark needs its root and a folder for the results", remedy="give --root and --results"
            )
        wanted.append((options.benchmark, options.root, options.results))
    elif options.root or options.results:
        raise UserError("--root and --results are those of --benchmark", remedy="give --benchmark, or --on alone")
    if not wanted:
        raise UserError("no benchmark is named", remedy="give --benchmark, --root and --results, or --on")
    names = [name for name, _, _ in wanted]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice", remedy="run the tracker once on each root")
    return {name: (root, results) for name, root, results in wanted}


def track_job(options: argparse.Namespace) -> TrackJob:
    """Parameters of `distillery track`: those of --params, a profile's, or the published settings."""
    from distillery.config.base import parse, parse_json
    from distillery.config.tracking import TrackJob

    if options.config is None:
        return parse_json(TrackJob, options.params) if options.params else TrackJob()
    from distillery.config import jobs, profile

    loaded = profile.load(options.config)
    found = {checkpoint_family(checkpoint): checkpoint for checkpoint in options.checkpoint or []}
    if len(found) > 1:
        raise UserError(f"checkpoints of {' and '.join(found)} share no settings", remedy="run them one by one")
    family = next(iter(found), None)
    if family and family not in loaded.tracking.families:
        raise UserError(
            f"describes no {family} trackers, {found[family]} is one",
            file=options.config,
            remedy="pass the profile that it was trained under",
        )
    return parse(TrackJob, jobs.track(loaded, family), source=str(options.config))


def checkpoint_family(checkpoint: Path) -> str:
    """Family of a trained tracker."""
    from distillery.engine.checkpoint import load_sidecar
    from distillery.tracking.families import FAMILIES

    return str(load_sidecar(checkpoint, kind=tuple(FAMILIES))["kind"])


def metrics_of(items: Sequence[str]) -> dict[Path, tuple[Path, Label]]:
    """RESULTS=METRICS of `distillery score-all`: results -> metrics, and whose they are by the path of the metrics."""
    found: dict[Path, tuple[Path, Label]] = {}
    places, owners = set(), set()
    for results, metrics in pairs(items, "--pairs").items():
        path = Path(metrics)
        *_, model, variant, seed = "", "", "", *path.parts
        stem = re.fullmatch(r"seed([0-9]{1,9})\.json", seed)
        if stem is None or {model, variant} & {"", "..", path.anchor}:
            problem = f"{metrics!r} does not say whose metrics these are"
            raise UserError(problem, place="--pairs", remedy="write them to …/MODEL/VARIANT/seed<k>.json")
        owner, place = (model, variant, int(stem[1])), os.path.realpath(results)
        if place in places or owner in owners:
            what = results if place in places else "/".join(map(str, owner))
            raise UserError(f"{what!r} is given twice", place="--pairs", remedy="give each tracker once")
        places.add(place)
        owners.add(owner)
        found[Path(results)] = path, dict(zip(LABELS, owner, strict=True))
    return found
