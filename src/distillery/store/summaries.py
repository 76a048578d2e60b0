"""Small summaries of a profile's results, for `dvc metrics diff` and `dvc plots` (`dvc.yaml` names them)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from distillery.errors import UserError
from distillery.files import atomic_folder, read_json, write_json, write_text

Means = dict[str, dict[str, dict[str, float]]]


def write(root: Path, profile: str) -> None:
    """Writes `results/<profile>/summary/`: `metrics.json` and a `curves/` file for each training.

    Raises:
        UserError: If a metrics file or a training curve is not what it should be.
    """
    home, checkpoints = root / "results" / profile, root / "checkpoints" / profile
    with atomic_folder(home / "summary") as folder:
        write_json(folder / "metrics.json", means(sorted((home / "metrics").rglob("seed*.json"))))
        for name, table in curves(checkpoints).items():
            write_text(folder / "curves" / f"{name}.tsv", table)


def means(files: Iterable[Path]) -> Means:
    """Benchmark -> model/variant -> measure -> its mean over the seeds; what no seed has a number for is left out."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for file in files:
        content = read_json(file)
        try:
            method = f"{content['model']}/{content['variant']}"
            for measure, value in content["numbers"].items():
                if value is not None:
                    values[content["benchmark"], method, measure].append(float(value))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError("is not a metrics file", file=file, remedy="delete it and run snakemake again") from error
    found: Means = {}
    for (benchmark, method, measure), numbers in sorted(values.items()):
        found.setdefault(benchmark, {}).setdefault(method, {})[measure] = fmean(numbers)
    return found


def curves(checkpoints: Path) -> dict[str, str]:
    """Name -> tab-separated `step` and `loss`, the mean over the seeds, for each training under a folder.

    Networks that were trained together have one loss and one curve; the name holds them all ("a+b").
    """
    networks: dict[Path, list[Path]] = defaultdict(list)
    for file in sorted(checkpoints.rglob("*.jsonl")):
        # seed0.jsonl of a network's folder, or the network's own file where there is one of it
        networks[file.parent if file.stem.startswith("seed") else file.with_suffix("")].append(file)
    together: dict[tuple[Path, tuple[bytes, ...]], list[str]] = defaultdict(list)
    for network, files in networks.items():
        together[network.parent, tuple(file.read_bytes() for file in files)].append(network.name)
    found = {}
    for (folder, texts), names in together.items():
        place = folder.relative_to(checkpoints).joinpath("+".join(names))
        found[place.as_posix()] = _curve(texts, checkpoints / place)
    return found


def _curve(texts: Iterable[bytes], place: Path) -> str:
    losses: dict[int, list[float]] = defaultdict(list)
    try:
        for text in texts:
            for row in map(json.loads, text.splitlines()):
                losses[int(row["step"])].append(float(row["loss"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            "a training curve is not lines of JSON with step and loss", file=place, remedy="train it anew"
        ) from error
    rows: list[tuple[Any, ...]] = [
        ("step", "loss"),
        *((step, fmean(values)) for step, values in sorted(losses.items())),
    ]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)
