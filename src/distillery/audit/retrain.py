"""Training one network again from what the manifest says, and comparing: bytes here, metrics on another machine."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from pathlib import Path

from distillery.audit.graph import Model, model_of
from distillery.audit.manifest import Manifest, machine
from distillery.audit.replay import inside, options_of, run, words_of
from distillery.errors import UserError
from distillery.files import sha256_of_file

COMMANDS = ("train-trackers", "train-search", "train-reid", "lookup")
"""Commands that make checkpoints."""
EVALUATE = ("track", "search")
_LIMIT_S = 7 * 86400.0


@dataclass
class Retrained:
    """What came of a training that was repeated.

    Attributes:
        checkpoint: Path of the checkpoint in the project.
        equal: Whether the weights have the same bytes.
        same_machine: Whether processor, threads and libraries are those of the run, so that they must.
        metrics: (benchmark, measure, recorded, now) of what was evaluated again; empty where bytes are equal.
    """

    checkpoint: str
    equal: bool
    same_machine: bool
    metrics: list[tuple[str, str, float, float]] = field(default_factory=list)


def find_checkpoint(manifest: Manifest, name: str) -> str:
    """The checkpoint that a name means: any part of its path that ends it, as `siamfc/dim-tskd/seed0`.

    Raises:
        UserError: If there is none, or several.
    """
    known = [
        path
        for path, entry in manifest.artefacts.items()
        if entry["kind"] in ("checkpoint", "lookup table") and words_of(_command(manifest, path), COMMANDS)
    ]
    wanted = name.removesuffix(".safetensors")
    found = [path for path in known if f"/{path}".removesuffix(".safetensors").endswith(f"/{wanted}")]
    if len(found) == 1:
        return found[0]
    examples = "; ".join(sorted(found or known)[:5])
    problem = f"means {len(found)} checkpoints" if found else "is no checkpoint of this run"
    raise UserError(problem, place=repr(name), remedy=f"name one as its path ends, such as {examples}")


def retrain(root: Path, manifest: Manifest, name: str, folder: Path) -> Retrained:
    """Repeats the job that made a checkpoint; of a job for several seeds, its seed alone.

    Args:
        root: Top folder of the project, with the data and teachers that the job reads.
        manifest: Of the run.
        name: The checkpoint, as `find_checkpoint` knows it.
        folder: An empty folder for what is made; it is the caller's to remove.

    Raises:
        UserError: If the name is unclear, or the training or its evaluation fails.
    """
    path = find_checkpoint(manifest, name)
    words = words_of(_command(manifest, path), COMMANDS) or []
    made = folder / path
    said = run(root, _redirected(words, folder, path), timeout_s=_LIMIT_S)
    if said is not None:
        raise UserError(f"cannot be trained again: {said}", file=path, remedy="restore what the training reads")
    if not made.is_file():
        raise UserError("was not made by the command that is recorded", file=path, remedy="audit the manifest first")
    equal = sha256_of_file(made) == manifest.artefacts[path]["sha256"]
    metrics = [] if equal else _evaluated(root, manifest, path, folder)
    return Retrained(path, equal, same_machine(manifest), metrics)


def same_machine(manifest: Manifest) -> bool:
    """Whether this is a machine of the kind that the run had, with the same libraries."""
    there, here = manifest.content.get("machine", {}), machine()
    recorded = manifest.content.get("environment", {})
    same = [there.get(key) == here.get(key) for key in ("processor", "gpus", "system")]
    same += [recorded.get("lock") is not None, str(recorded.get("python")) == platform.python_version()]
    return all(same)


def _command(manifest: Manifest, path: str) -> str:
    job = manifest.jobs.get(manifest.artefacts[path].get("job", ""), {})
    return str(job.get("command", ""))


def _redirected(words: list[str], folder: Path, path: str) -> list[str]:
    """The words with their outputs below a folder, for the seed of one checkpoint."""
    changed, option = [words[0]], ""
    model = model_of(path)
    for word in words[1:]:
        if word.startswith("--"):
            option = word
        elif option == "--out":
            name, equals, value = word.rpartition("=")
            word = f"{name}{equals}{inside(folder, value)}"
        elif option == "--seeds" and model is not None and word != str(model.seed):
            continue
        changed.append(word)
    return changed


def _evaluated(root: Path, manifest: Manifest, path: str, folder: Path) -> list[tuple[str, str, float, float]]:
    """Runs the new checkpoint on every benchmark on which the old one was run, and scores both ways."""
    model = model_of(path)
    compared: list[tuple[str, str, float, float]] = []
    if model is None:
        return compared
    for job in manifest.jobs.values():
        words = words_of(str(job["command"]), EVALUATE)
        if words is None or path not in job["inputs"]:
            continue
        options = options_of(words)
        for benchmark, data in _runs(words[0], options):
            out = folder / "evaluated" / benchmark
            told = _run_one(root, words[0], options, folder / path, (benchmark, data, out))
            if told is not None:
                raise UserError(f"cannot be evaluated on {benchmark}: {told}", file=path, remedy="restore the data")
            old = _metrics(root, manifest, benchmark, model)
            new = _score(root, benchmark, data, out, folder)
            compared += [(benchmark, key, old[key], new[key]) for key in sorted(old) if key in new]
    return compared


def _runs(command: str, options: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(benchmark, root) of each benchmark of a job."""
    if command == "search":
        (data,) = options["--root"]
        return [(name, data) for name in dict.fromkeys(pair.partition("=")[0] for pair in options["--results"])]
    return list(zip(options["--on"][::3], options["--on"][1::3], strict=True))


def _run_one(
    root: Path, command: str, options: dict[str, list[str]], checkpoint: Path, place: tuple[str, str, Path]
) -> str | None:
    benchmark, data, out = place
    params = ["--params", *options["--params"]] if "--params" in options else []
    if command == "search":
        words = ["search", "--root", data, "--checkpoint", str(checkpoint), "--results", f"{benchmark}={out}.npz"]
    else:
        words = ["track", "--checkpoint", str(checkpoint), "--on", benchmark, data, str(out)]
    return run(root, [*words, *params], timeout_s=_LIMIT_S)


def _metrics(root: Path, manifest: Manifest, benchmark: str, model: Model) -> dict[str, float]:
    """Recorded metrics of a checkpoint on a benchmark."""
    wanted = model._replace(benchmark=benchmark, trained_on=None)
    files = [path for path, entry in manifest.artefacts.items() if entry["kind"] == "metrics"]
    return next((_numbers(root / path) for path in files if model_of(path) == wanted), {})


def _score(root: Path, benchmark: str, data: str, out: Path, folder: Path) -> dict[str, float]:
    results = f"{out}.npz" if Path(f"{out}.npz").is_file() else str(out)
    metrics = folder / "evaluated" / f"{benchmark}.metrics.json"
    words = ["score", "--benchmark", benchmark, "--root", data, "--results", results, "--out", str(metrics)]
    said = run(root, [*words, "--allow-partial"], timeout_s=_LIMIT_S)
    if said is not None:
        raise UserError(f"cannot be scored: {said}", file=results, remedy="restore the data")
    return _numbers(metrics)


def _numbers(file: Path) -> dict[str, float]:
    numbers = json.loads(file.read_text(encoding="utf-8"))["numbers"]
    return {key: float(value) for key, value in numbers.items() if value is not None}
