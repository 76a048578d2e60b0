"""Whether what the manifest says hangs together: from data over checkpoints and predictions to every cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillery.audit.findings import Finding
from distillery.audit.manifest import EMPTY
from distillery.audit.project import Project, json_object
from distillery.audit.records import METADATA, read_records
from distillery.errors import UserError

_MADE = ("data", "checkpoints", "results")
"""Folders whose files are made by jobs."""
_STATING = ("sidecar", "metrics", "predictions", "search")
"""Kinds of files that say what they were made of."""


def jobs_read_what_others_made(project: Project) -> Iterator[Finding]:
    """What a job read has the hash of what another job wrote."""
    artefacts = project.manifest.artefacts
    for name, job in sorted(project.manifest.jobs.items()):
        for path, digest in sorted(job["inputs"].items()):
            entry = artefacts.get(path)
            if entry is not None and entry["sha256"] != digest:
                yield project.finding(path, f"is not what {job['rule']} read", digest, entry["sha256"])
            elif entry is None and path.split("/", 1)[0] in _MADE and not path.startswith("recordings/"):
                first = job["outputs"][0] if job["outputs"] else name
                yield project.finding(first, f"was made of {path}, of which there is no record", digest, None)


def every_artefact_has_its_job(project: Project) -> Iterator[Finding]:
    """Artefacts and jobs name each other."""
    for path, entry in sorted(project.manifest.artefacts.items()):
        job = project.manifest.jobs.get(entry.get("job", ""))
        if job is None:
            yield project.finding(path, "has no record of the job that made it", entry.get("job"), None)
        elif "member_of" not in entry and path not in job["outputs"]:
            yield project.finding(path, f"is no output of {job['rule']}, which is said to have made it")
    for job in project.manifest.jobs.values():
        for path in job["outputs"]:
            if path not in project.manifest.artefacts and not path.startswith("recordings/"):
                yield Finding(path, f"was made by {job['rule']} and is not in the manifest", path, None)


def records_agree(project: Project) -> Iterator[Finding]:
    """Snakemake's records, where they are still there, say what the manifest says."""
    if not (project.root / METADATA).is_dir():
        return
    try:
        records = {job.name: job for job in read_records(project.root, project.manifest.content["profile"])}
    except UserError as error:
        yield Finding(str(error.file or METADATA), error.problem)
        return
    for name, job in sorted(project.manifest.jobs.items()):
        record = records.get(name)
        if record is None:
            yield _of_job(project, name, "has lost Snakemake's record of it")
            continue
        if record.outputs != job["outputs"]:
            lost = sorted({*record.outputs} ^ {*job["outputs"]})
            yield _of_job(project, name, f"has not the same outputs by Snakemake's record, which differs in {lost[0]}")
        for path in sorted({*record.inputs, *record.code} | {*job["inputs"], *job["code"]}):
            stated = (job["inputs"] | job["code"]).get(path)
            recorded = (record.inputs | record.code).get(path)
            restored = path.startswith("recordings/") and recorded == EMPTY
            if stated != recorded and not restored:
                yield _of_job(project, name, f"read another {path} by Snakemake's record", stated, recorded)
        if job["command"] != record.command:
            yield _of_job(project, name, "ran another command by Snakemake's record")
        if job["params"] != record.parameters:
            yield _of_job(project, name, "had other parameters by Snakemake's record")


def _of_job(
    project: Project, name: str, problem: str, expected: str | None = None, found: str | None = None
) -> Finding:
    outputs = project.manifest.jobs[name]["outputs"]
    cells = project.graph.cells_of(outputs[0]) if outputs else ()
    return Finding(name, problem, expected, found, cells)


def files_state_their_origin(project: Project) -> Iterator[Finding]:
    """What a JSON file says of itself fits: its weights, its inputs, its parameters, and whose it is."""
    artefacts = project.manifest.artefacts
    for path, entry in sorted(artefacts.items()):
        if not path.endswith(".json") or entry["kind"] not in _STATING or entry.get("member_of"):
            continue
        said = json_object(project.root / path)
        yield from _stated_weights(project, path, said)
        job = project.manifest.jobs.get(entry.get("job", ""))
        if job is None:
            continue  # said by another check
        known = {*job["inputs"].values(), *job["code"].values()}
        known |= {digest for input in job["inputs"] for digest in project.contents(input)}
        for what, digest in sorted(_stated_inputs(entry["kind"], said).items()):
            if digest not in known:
                yield project.finding(path, f"says that it was made of another {what}", digest, None)
        yield from _stated_owner(project, path, said)


def _stated_inputs(kind: str, said: dict[str, Any]) -> dict[str, str]:
    """What a file says it was made of, by name. Metrics state digests of many files together: `recompute` compares."""
    inputs, tracker = said.get("inputs"), said.get("tracker")
    stated = dict(inputs) if isinstance(inputs, dict) and kind != "metrics" else {}
    if isinstance(tracker, dict):
        stated["checkpoint"] = tracker.get("checkpoint")
    return {str(name): value for name, value in stated.items() if _is_sha(value)}


def _stated_weights(project: Project, path: str, said: dict[str, Any]) -> Iterator[Finding]:
    digest = said.get("sha256")
    beside = [f"{path.removesuffix('.json')}{suffix}" for suffix in (".safetensors", ".npz")]
    for file in beside:
        entry = project.manifest.artefacts.get(file)
        if entry and _is_sha(digest) and entry["sha256"] != digest:
            yield project.finding(file, f"is not what {Path(path).name} beside it describes", digest, entry["sha256"])
    sequences = said.get("sequences")
    for name, sequence in sorted(sequences.items()) if isinstance(sequences, dict) else ():
        if not isinstance(sequence, dict) or not _is_sha(sequence.get("sha256")):
            continue
        members = [digest for file, digest in project.members.get(path, {}).items() if name in file]
        if sequence["sha256"] not in members:
            found = members[0] if len(members) == 1 else None
            yield project.finding(path, f"lists another result of {name}", sequence["sha256"], found)


def _stated_owner(project: Project, path: str, said: dict[str, Any]) -> Iterator[Finding]:
    """Metrics say whose they are; so does their place."""
    if "/metrics/" not in path:
        return
    benchmark, model, variant, seed = Path(path).with_suffix("").parts[-4:]
    place = {"benchmark": benchmark, "model": model, "variant": variant, "seed": int(seed.removeprefix("seed"))}
    for key, value in place.items():
        if key in said and said[key] != value:
            yield project.finding(path, f"holds the metrics of another {key}", str(value), str(said[key]))


def _is_sha(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64
