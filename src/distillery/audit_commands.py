"""The commands of the audit: write the manifest of a run, and check what it says."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.errors import UserError

if TYPE_CHECKING:
    from distillery.audit.manifest import Manifest

TARGETS = ("headline", "ablations")
PARTS = ("verify", "recompute")
"""verify: hashes and the chain from data to cells; recompute: metrics from predictions, tables from metrics."""
ASKED = ("trace", "retrain")
"""Parts that are asked about one thing."""
TOLERANCES = Path("config/tolerances.yaml")


def add(command: Callable[..., argparse.ArgumentParser], path: Callable[..., None]) -> None:
    """Adds the commands to the command line."""
    record = command("manifest", manifest, "List every file of a run with its hash and the job that made it.")
    path(record, "--config", "the profile's file", required=True)
    record.add_argument("--target", choices=TARGETS, required=True)
    path(record, "--ends", "last files of the run; what they were made of is followed back", nargs="+", required=True)
    path(record, "--out", "manifest to write", required=True)
    record.add_argument("--workers", type=int, default=2, help="threads; the result does not depend on it")

    proof = command("audit", audit, "Check that every number of a finished run is what its files give.")
    proof.add_argument("what", nargs="?", default="all", choices=("all", *PARTS, *ASKED), help="all, or one part")
    proof.add_argument("name", nargs="?", help="trace: a cell, `Table 2, DSTfc, OTB-100 AUC`; retrain: a checkpoint")
    path(proof, "--tolerances", "how far metrics may differ on another machine", default=TOLERANCES)
    proof.add_argument("--profile", default="mini", help="profile whose results are audited")
    path(proof, "--root", "top folder of the project", default=Path())
    proof.add_argument("--workers", type=int, default=2, help="threads")


def manifest(options: argparse.Namespace) -> None:
    """Writes the manifest of a target."""
    from distillery.audit.manifest import build
    from distillery.config.profile import load
    from distillery.files import write_json

    profile = load(options.config)
    content = build(
        Path(),
        profile.profile,
        options.target,
        ends=map(str, options.ends),
        config=options.config,
        resolved=profile.model_dump(mode="json"),
        workers=options.workers,
    )
    write_json(options.out, content)
    state = content["code"]
    commit = "no git here" if state["commit"] is None else f"commit {state['commit'][:12]}"
    dirty = f", {len(state['changed'])} files differ from it" if state["dirty"] else ""
    print(f"{options.out}: {len(content['artefacts'])} files of {len(content['jobs'])} jobs, {commit}{dirty}")


def audit(options: argparse.Namespace) -> int:
    """Checks the manifests of a profile; 1 if a link is broken."""
    from distillery.audit.project import Project
    from distillery.audit.recompute import recompute
    from distillery.audit.verify import verify

    if options.what in ASKED:
        if not options.name:
            raise UserError("names nothing", place=f"audit {options.what}", remedy="see `distillery audit --help`")
        return {"trace": _trace, "retrain": _retrain}[options.what](options)
    wanted = PARTS if options.what == "all" else (options.what,)
    root, manifests = options.root, _manifests(options)
    findings: list[str] = []
    for one in manifests:
        project = Project(root, one, manifests, _resolved(root, one.content["config"]), options.workers)
        found = [finding for part in wanted for finding in {"verify": verify, "recompute": recompute}[part](project)]
        findings += [str(finding) for finding in found]
        state = one.content["code"]
        print(
            f"{one.path}: {len(one.artefacts)} files, {len(one.jobs)} jobs, "
            f"commit {(state.get('commit') or 'unknown')[:12]}: "
            + ("everything holds" if not found else f"{len(found)} broken links")
        )
    for line in dict.fromkeys(findings):
        print(f"broken: {line}")
    return 1 if findings else 0


def _trace(options: argparse.Namespace) -> int:
    """Prints the ancestry of a cell."""
    from distillery.audit.trace import trace

    # Ablations stand beside the headline; a cell of both is the headline's.
    for line in trace(options.root, _manifests(options)[0], options.name).lines():
        print(line)
    return 0


def _retrain(options: argparse.Namespace) -> int:
    """Trains one checkpoint again; 1 if it is neither the same bytes nor, on another machine, within tolerance."""
    import tempfile

    from distillery.audit.retrain import find_checkpoint, retrain
    from distillery.config.tolerances import beyond, load_tolerances

    manifests = _manifests(options)
    # What the ablations trained is in their manifest alone, which holds the headline's too.
    manifest = manifests[-1]
    print(f"training {find_checkpoint(manifest, options.name)} again")
    with tempfile.TemporaryDirectory(prefix="distillery-retrain-") as folder:
        done = retrain(options.root, manifest, options.name, Path(folder))
    if done.equal:
        print(f"{done.checkpoint}: the same bytes")
        return 0
    where = "this machine and its libraries are those of the run" if done.same_machine else "another machine"
    print(f"{done.checkpoint}: other bytes; {where}")
    outside = beyond(load_tolerances(options.root / options.tolerances), done.metrics)
    for benchmark, measure, before, now in done.metrics:
        print(f"{benchmark} {measure}: {before:.6g} in the run, {now:.6g} now")
    for line in outside:
        print(f"broken: {line}")
    if not done.metrics:
        print("broken: nothing was evaluated with this checkpoint, so there are no metrics to compare")
    return 1 if done.same_machine or outside or not done.metrics else 0


def _manifests(options: argparse.Namespace) -> list[Manifest]:
    """Manifests of the profile, the headline's first."""
    from distillery.audit.manifest import load, manifest_path

    paths = [manifest_path(options.profile, target) for target in TARGETS]
    found = [load(options.root, path) for path in paths if (options.root / path).is_file()]
    if not found:
        remedy = f"run snakemake to the end for the profile {options.profile}"
        raise UserError("does not exist", file=options.root / paths[0], remedy=remedy)
    return found


def _resolved(root: Path, config: dict[str, Any]) -> Any:
    """The profile as its file says now; None if it cannot be read."""
    from distillery.config.profile import load

    try:
        return load(root / str(config.get("file"))).model_dump(mode="json")
    except UserError:
        return None
