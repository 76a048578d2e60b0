"""The job that finds a student: searches, remembers what it has trained, writes the architecture and its history."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from distillery.config.base import parse_json
from distillery.config.selection import SelectionJob
from distillery.distill.policy import PolicySearch
from distillery.distill.selection import (
    ACTIONS,
    Fixed,
    RandomSearch,
    Ratios,
    Space,
    Strategy,
    Visit,
    best,
    search,
    uniform_shrink,
)
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file, write_json, write_text
from distillery.tracking.proxy import Proxy, child_architecture, space_of, training_parameters

Train = Callable[[Sequence[Ratios]], Iterator[tuple[int, float | None]]]
"""Trains children; yields the place and the accuracy of each as it is done, None for one that failed."""


def select_students(
    parameters: SelectionJob, manifest: Path, teacher: Path, out: Path, *, workers: int = 1
) -> dict[str, Any]:
    """Searches for a student's channel numbers.

    The result is the trained child of highest reward within the budget. The uniformly shrunk teacher is measured too,
    as a reference; it is the result only if the search trained no child within the budget (`fallback`).

    Args:
        parameters: Resolved parameters.
        manifest: Of GOT-10k; the data lie in the folder of the same name.
        teacher: Checkpoint of the teacher.
        out: JSON to write. What was trained so far lies in `<out>.resume/`, from which a killed search goes on.
        workers: Processes that train children; neither they nor their number change a byte of the result.

    Returns:
        What was written.

    Raises:
        UserError: If no child can keep the budget, none can be trained, or an input is faulty.
    """
    space = space_of(parameters)
    uniform = uniform_shrink(space)
    if uniform is None or not space.fits((ACTIONS[0],) * len(space.layers)):
        raise UserError(
            f"asks for a student {parameters.selection.budget:g} times smaller than the teacher, which no shrinkage "
            "of its layers gives",
            file="config",
            place="selection.budget",
            remedy="lower it",
        )
    proxy = Proxy(parameters, manifest, teacher)
    teacher_accuracy = proxy.teacher_accuracy()
    inputs = {"data": sha256_of_file(manifest), "teacher": sha256_of_file(teacher)}
    state = out.with_suffix(".resume")
    memory = Memory(state / "visited.jsonl", _key(parameters, inputs), space)
    settings = parameters.selection
    with _trainer(proxy, parameters, manifest, teacher, min(workers, settings.children)) as train:

        def run(strategy: Strategy, updates: int, label: str) -> list[Visit]:
            visits = []
            with Progress(label, updates) as progress:
                rounds = search(
                    space, strategy, memory.evaluator(train), teacher_accuracy=teacher_accuracy, updates=updates
                )
                for seen in rounds:
                    visits += seen
                    top = best(visits)
                    progress.update(note=f"best reward {top.reward:.3f}" if top else "none within the budget yet")
            return visits

        (reference,) = run(Fixed([uniform]), 1, "measure uniform shrinkage")
        strategy = _strategy(parameters, space, uniform)
        updates = 1 if settings.strategy == "uniform" else settings.updates
        visits = run(strategy, updates, f"search {parameters.family} students, {settings.strategy}")
    result = _result(parameters, space, visits, reference, teacher_accuracy, inputs)
    write_json(out, result)
    shutil.rmtree(state, ignore_errors=True)
    return result


class Memory:
    """Accuracies of the children trained so far, in a file of JSON lines that is whole after every child.

    A search is a function of its parameters and of these accuracies, so nothing else must be kept to go on: the same
    search from the start meets its children here until it reaches the first that is not.

    Args:
        path: The file.
        key: Hash of all that the accuracies depend on; a file of another key is replaced.
        space: For the names of children.
    """

    def __init__(self, path: Path, key: str, space: Space) -> None:
        self._path, self._space = path, space
        self._lines = [json.dumps({"key": key})]
        self._known: dict[tuple[int, ...], float | None] = {}
        try:
            found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            if found and found[0] == {"key": key}:
                for entry in found[1:]:
                    self._note(tuple(entry["channels"]), entry["accuracy"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no file, or one that cannot be read: the search begins anew, nothing is lost but time

    def evaluator(self, train: Train) -> Callable[[Sequence[Ratios]], list[float | None]]:
        """`train`, asked only for what is not remembered."""

        def evaluate(children: Sequence[Ratios]) -> list[float | None]:
            names = [self._space.channels(ratios) for ratios in children]
            missing = [place for place, name in enumerate(names) if name not in self._known]
            for index, accuracy in train([children[place] for place in missing]):
                self._note(names[missing[index]], accuracy)
                write_text(self._path, "\n".join(self._lines) + "\n")
            return [self._known[name] for name in names]

        return evaluate

    def _note(self, channels: tuple[int, ...], accuracy: float | None) -> None:
        self._known[channels] = accuracy
        self._lines.append(json.dumps({"channels": list(channels), "accuracy": accuracy}))


@contextmanager
def _trainer(proxy: Proxy, parameters: SelectionJob, manifest: Path, teacher: Path, workers: int) -> Iterator[Train]:
    """Trains in this process, or in several of which each holds the proxy task."""
    if workers <= 1:
        yield lambda children: enumerate(map(proxy.child_accuracy, children))
        return
    # Fresh interpreters: a forked one could inherit the locks of torch's thread pool.
    with ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(parameters.model_dump_json(), manifest, teacher),
    ) as pool:

        def train(children: Sequence[Ratios]) -> Iterator[tuple[int, float | None]]:
            jobs = {pool.submit(_work, ratios): place for place, ratios in enumerate(children)}
            try:
                for done in as_completed(jobs):
                    yield jobs[done], done.result()
            except BrokenProcessPool as error:
                raise UserError(
                    "a process that trains candidate students died",
                    remedy="free some memory or use fewer workers and run the same command again",
                ) from error

        yield train


_proxy: Proxy | None = None
"""A worker's own; never set in the process that runs the search."""


def _begin(parameters: str, manifest: Path, teacher: Path) -> None:
    global _proxy
    _proxy = Proxy(parse_json(SelectionJob, parameters), manifest, teacher)


def _work(ratios: Ratios) -> float | None:
    assert _proxy is not None
    return _proxy.child_accuracy(ratios)


def _strategy(parameters: SelectionJob, space: Space, uniform: Ratios) -> Strategy:
    settings = parameters.selection
    made: dict[str, Callable[[], Strategy]] = {
        "policy": lambda: PolicySearch(
            space,
            parameters.seed,
            settings.children,
            hidden=settings.hidden,
            learning_rate=settings.learning_rate,
            entropy=settings.entropy,
        ),
        "random": lambda: RandomSearch(space, parameters.seed, settings.children),
        "uniform": lambda: Fixed([uniform]),
    }
    return made[settings.strategy]()


def _key(parameters: SelectionJob, inputs: dict[str, str]) -> str:
    """Hash of what a child's accuracy depends on: the searches of one family share it, whatever their strategy."""
    plain = parameters.model_dump(mode="json")
    plain["compute"] |= {"save_every": None, "threads": None}
    for name in ("strategy", "budget", "updates", "children", "hidden", "learning_rate", "entropy"):
        plain["selection"].pop(name)
    return sha256_of({"parameters": plain, "inputs": inputs})


def _result(
    parameters: SelectionJob,
    space: Space,
    visits: list[Visit],
    reference: Visit,
    teacher_accuracy: float,
    inputs: dict[str, str],
) -> dict[str, Any]:
    found = best(visits)
    chosen = found or best([reference])
    if chosen is None or chosen.parameters is None:
        raise UserError(
            "no candidate student could be trained: every loss became infinite",
            file="config",
            place="selection.optimisation.learning_rate",
            remedy="lower it or set clip",
        )
    architecture = child_architecture(training_parameters(parameters).architectures["teacher"], chosen.ratios)
    return {
        "kind": parameters.family,
        "strategy": parameters.selection.strategy,
        "architecture": architecture.model_dump(mode="json"),
        "channels": list(chosen.channels),
        "ratios": list(chosen.ratios),
        "parameters": chosen.parameters,
        "teacher_parameters": space.teacher_size,
        "size_ratio": space.teacher_size / chosen.parameters,
        "reward": chosen.reward,
        "accuracy": chosen.accuracy,
        "teacher_accuracy": teacher_accuracy,
        "budget": space.budget,
        "fallback": found is None,
        "uniform": asdict(reference),
        "visited": [asdict(visit) for visit in visits],
        "curves": _curves(visits),
        "trained": len({visit.channels for visit in visits if visit.accuracy is not None}),
        "inputs": inputs,
        "job": parameters.model_dump(mode="json"),
    }


def _curves(visits: Sequence[Visit]) -> dict[str, list[Any]]:
    """Mean reward of each update, and the best reward up to it (None before the first child within the budget)."""
    updates = sorted({visit.update for visit in visits})
    means, tops = [], []
    for update in updates:
        rewards = [visit.reward for visit in visits if visit.update == update]
        top = best([visit for visit in visits if visit.update <= update])
        means.append(sum(rewards) / len(rewards))
        tops.append(None if top is None else top.reward)
    return {"update": updates, "mean_reward": means, "best_reward": tops}
