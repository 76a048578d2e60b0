"""What a finished run says about itself, one function a question; each answer names the files that it rests on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distillery.audit.graph import model_of
from distillery.audit.ledger import cost_of, hours, memory
from distillery.audit.run import Answer, Run, Verdict, few

_TRAINING = ("train_", "pretrain_")


def code(run: Run) -> Answer:
    """The source and its dependencies."""
    state, lock = run.content["code"], run.content["environment"].get("lock")
    if not state.get("commit"):
        return Answer("no", "The run was made outside a git repository: no commit says which code ran.")
    text = f"Commit {state['commit']}"
    if state.get("dirty"):
        text += f", but {len(state['changed'])} files that the jobs executed differ from it"
    text += "; every job lists the hash of each source file that it executed."
    text += f" The environment is `requirements.lock` ({lock[:12]})." if lock else " No lock file was there."
    verdict: Verdict = "partly" if state.get("dirty") or not lock else "yes"
    return Answer(verdict, text, (run.manifest.path, *run.there("requirements.lock")))


def infrastructure(run: Run) -> Answer:
    """The machine and the libraries."""
    machine, environment = run.content["machine"], run.content["environment"]
    gpus = ", ".join(machine.get("gpus") or ()) or "no GPU"
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items() if version)
    text = (
        f"{machine.get('processor')}, {machine.get('cores')} cores ({machine.get('threads')} a job), {gpus}, "
        f"{machine.get('memory_gb')} GB of memory, "
        f"{machine.get('system')}; Python {environment.get('python')}, {packages}. This is the machine that ended the "
        "run; jobs that a cluster ran elsewhere are not told apart."
    )
    return Answer("yes", text, (run.manifest.path,))


def runtime(run: Run) -> Answer:
    """Time, memory, and what was not counted."""
    cost = cost_of(run.manifest, run.manifest.jobs)
    text = (
        f"{cost.jobs} jobs took {hours(cost.seconds)} h of wall clock one after another, at least "
        f"{hours(cost.cpu_seconds)} CPU-hours and {hours(cost.gpu_seconds)} GPU-hours; the largest job took "
        f"{memory(cost.peak_mb)}. The ledger has each row of the main tables. Energy was not measured. Earlier and "
        "failed runs, and the calibration of the config, are not in it."
    )
    return Answer("partly", text, (str(Path(run.manifest.path).with_name("ledger.csv")), run.manifest.path))


def sizes(run: Run) -> Answer:
    """Number of parameters of each network."""
    counts: dict[str, set[int]] = {}
    for path, sidecar in run.sidecars.items():
        model = model_of(path)
        if model is not None and isinstance(sidecar.get("parameter_count"), int):
            counts.setdefault(_network(path), set()).add(sidecar["parameter_count"])
    if not counts:
        return Answer("no", "No checkpoint has a sidecar that says it.")
    # Networks of one run differ in name alone; equal sizes are told once.
    by_size: dict[str, list[str]] = {}
    for name, found in sorted(counts.items()):
        by_size.setdefault(" or ".join(f"{count:,}" for count in sorted(found)), []).append(name)
    text = "; ".join(f"{size}: {', '.join(names)}" for size, names in by_size.items()) + "."
    return Answer(
        "yes", f"Learnt parameters: {text}", few(path.removesuffix(".safetensors") + ".json" for path in run.sidecars)
    )


def _network(path: str) -> str:
    """`siamfc/dim-tskd`, of person search with its training set before."""
    return "/".join(Path(path).parts[3:-1])


def runs(run: Run) -> Answer:
    """Trainings, evaluations and seeds."""
    trainings = run.jobs(*_TRAINING)
    seeds = sorted({model.seed for path in run.sidecars if (model := model_of(path))})
    metrics = run.of_kind("metrics")
    text = (
        f"{len(run.sidecars)} networks were trained by {len(trainings)} jobs, with seeds "
        f"{', '.join(map(str, seeds))} (counted from 0, none chosen or left out); {len(metrics)} evaluations, each "
        "of one network on one benchmark, once. Every checkpoint of the run is in the manifest."
    )
    return Answer("yes", text, (run.manifest.path,))


def configurations(run: Run) -> Answer:
    """Hyperparameters of every training."""
    jobs = run.jobs(*_TRAINING)
    without = [name for name in jobs if not run.manifest.jobs[name].get("params")]
    text = (
        f"The resolved parameters of all {len(jobs)} trainings, defaults among them, stand in the manifest and in the "
    )
    text += "sidecars of the checkpoints; the profile is their source."
    if without:
        text = f"{len(without)} of {len(jobs)} trainings have no recorded parameters, {without[0]} among them."
    config = run.content["config"]
    return Answer("partly" if without else "yes", text, (str(config.get("file")), run.manifest.path))


def search(run: Run) -> Answer:
    """What was searched automatically: bounds, trials, criterion."""
    found = []
    for path in run.of_kind("search", ".json"):
        result = run.json(path)
        job = result.get("job", {}).get("selection", {})
        found.append(
            f"{result.get('kind')} by strategy “{result.get('strategy')}”: {len(result.get('visited') or ())} "
            f"architectures visited, {result.get('trained')} of them trained for "
            f"{job.get('optimisation', {}).get('steps')} steps, at most 1/{result.get('budget'):g} of the teacher's "
            f"size; chosen by reward on {job.get('validation_pairs')} pairs of the validation split of GOT-10k"
        )
    if not found:
        return Answer("does not apply", "Nothing was searched in this run.")
    text = "Only channel numbers of the small students were searched automatically: " + "; ".join(found) + "."
    return Answer("yes", text, tuple(run.of_kind("search", ".json")))


def tuning(run: Run) -> Answer:
    """How all else was chosen."""
    if run.embedded:
        text = (
            "Learning rates, steps and loss weights were chosen by hand on generated calibration sets of other seeds "
        )
        text += (
            "than the run's, for methods without a teacher, and are written down with the numbers that decided; bounds "
        )
        text += "and number of these trials were not recorded by a run."
    else:
        text = "Settings are the published ones where there are any; each choice beside them is written down with its "
        text += "reason. Nothing was tuned by a run."
    return Answer("partly", text, run.there("docs/decisions.md", "docs/data.md"))


def selection(run: Run) -> Answer:
    """What was chosen on what."""
    checkpoints = (
        "Of each training the network after the last step is evaluated: no checkpoint, epoch or seed was chosen"
    )
    text = (
        f"{checkpoints} by any score. No test set was seen by a choice within the run: searches read the training set "
    )
    text += "of trackers alone, as their inputs show."
    tests = {entry["manifest"] for name, entry in run.content["data"].items() if name not in ("got10k", "pretraining")}
    seen = {
        (path, data)
        for path in run.of_kind("search", ".json")
        for data in run.manifest.jobs[run.manifest.artefacts[path]["job"]]["inputs"]
        if data in tests
    }
    if seen:
        path, data = sorted(seen)[0]
        return Answer("no", f"{path} read {data}, a set on which results are reported.", (path,))
    return Answer("yes", text, (run.manifest.path, *run.of_kind("search", ".json")))


def validation(run: Run) -> Answer:
    """Validation results beside test results."""
    text = (
        "Searches give the validation score of each architecture that they visited. Other networks are not validated: "
        "nothing is chosen among them, so there is no validation score that decided. Losses of every training step are "
        "kept."
    )
    return Answer("partly", text, (*run.of_kind("search", ".json"), *few(run.of_kind("curve"))[:2]))


def measures(run: Run) -> Answer:
    """Definitions of the measures."""
    protocols: dict[str, set[str]] = {}
    for path in run.of_kind("metrics"):
        metrics = run.json(path)
        if "benchmark" in metrics:
            protocols.setdefault(str(metrics["benchmark"]), set()).add(str(metrics.get("protocol")))
    scorers = {path for name in run.jobs("score_") for path in run.manifest.jobs[name]["code"] if "protocol" in path}
    told = "; ".join(f"{name}: {', '.join(sorted(kinds))}" for name, kinds in sorted(protocols.items()))
    sources = tuple(path for path in sorted(scorers) if not path.endswith("__init__.py"))
    return Answer("yes" if told else "no", f"Protocols: {told or 'none recorded'}. Code:", sources)


def uncertainty(run: Run) -> Answer:
    """Intervals."""
    seeds = {model.seed for path in run.sidecars if (model := model_of(path))}
    text = (
        f"Means over {len(seeds)} seeds with 95 % intervals of Student's t over seeds (data, splits and order of "
        "benchmarks are fixed); differences between methods are paired by seed. Intervals are not corrected for the "
        "number of comparisons."
    )
    tables = [path for path in run.of_kind("table", ".csv") if Path(path).stem in ("benchmarks", "differences")]
    return Answer("yes" if len(seeds) > 1 else "no", text, tuple(tables))


def artefacts(run: Run) -> Answer:
    """Whether the package is complete."""
    entries = run.manifest.artefacts
    kinds = {
        kind: sum(entry["kind"] == kind for entry in entries.values())
        for kind in ("checkpoint", "predictions", "metrics", "table", "figure")
    }
    told = ", ".join(f"{count} {kind} files" for kind, count in kinds.items())
    text = f"The manifest lists {len(entries)} files of {len(run.manifest.jobs)} jobs with hashes: {told}."
    hashes = [f"{name} {entry['dvc']}" for name, entry in sorted(run.datasets.items()) if entry.get("dvc")]
    if hashes:
        text += f" DVC's hashes of the data: {', '.join(hashes)}."
    return Answer("yes", text, (run.manifest.path,))


def exercised(run: Run) -> Answer:
    """Whether it runs."""
    text = (
        f"All {len(run.manifest.jobs)} jobs of this run ended, with the commands that the manifest keeps; `make paper` "
    )
    text += "repeats them, `distillery audit` checks them, `distillery audit retrain` repeats one training."
    return Answer("yes", text, (run.manifest.path,))


def person(why: str) -> Callable[[Run], Answer]:
    """A question that no run can answer."""
    return lambda run: Answer("not from the run", why)


def documents(verdict: Verdict, text: str, *paths: str) -> Callable[[Run], Answer]:
    """An answer that stands in documents of the project; where one is gone, it is no answer."""

    def answer(run: Run) -> Answer:
        there = run.there(*paths)
        if len(there) < len(paths):
            absent = next(path for path in paths if path not in there)
            return Answer("not from the run", f"{absent} is not there.", there)
        return Answer(verdict, text, there)

    return answer
