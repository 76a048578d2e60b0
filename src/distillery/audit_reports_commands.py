"""The commands that write what a finished run says of itself: checklists, ledger, crate; and that compare two runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from distillery.audit_commands import TARGETS


def add(command: Callable[..., argparse.ArgumentParser], path: Callable[..., None]) -> None:
    """Adds the commands to the command line."""
    lists = command("checklists", checklists, "Fill the reproducibility checklists and the compute ledger from a run.")
    _which(lists, path)
    made = command("crate", crate, "Describe a finished run as an RO-Crate (Provenance Run Crate 0.5).")
    _which(made, path)
    path(made, "--report", "Snakemake's own report, relative to the project, to be linked")
    both = command("compare", compare, "Compare two finished runs of one profile file by file; 1 if they differ.")
    path(both, "first", "top folder of a project")
    path(both, "second", "top folder of another")
    both.add_argument("--profile", default="smoke", help="profile of both runs")
    both.add_argument("--target", choices=TARGETS, default="headline", help="what both runs made")
    both.add_argument("--notes", nargs=2, default=["", ""], metavar="TEXT", help="what to say of each: cores, threads")
    path(both, "--out-dir", "folder for determinism.json and determinism.md", required=True)


def _which(to: argparse.ArgumentParser, path: Callable[..., None]) -> None:
    to.add_argument("--profile", default="mini", help="profile of the run")
    to.add_argument("--target", choices=TARGETS, default="headline", help="what the run made")
    path(to, "--root", "top folder of the project", default=Path())


def checklists(options: argparse.Namespace) -> None:
    """Writes `checklist.md`, `ledger.csv` and `ledger.md` beside the manifest."""
    from distillery.audit import checklists as audit
    from distillery.audit import ledger
    from distillery.audit.manifest import load, manifest_path
    from distillery.files import write_text

    manifest = load(options.root, manifest_path(options.profile, options.target))
    lines = ledger.lines(options.root, manifest)
    pages = {
        "checklist.md": audit.page(options.root, manifest),
        "ledger.csv": ledger.as_csv(lines),
        "ledger.md": ledger.as_markdown(manifest, lines),
    }
    home = (options.root / manifest.path).parent
    for name, text in pages.items():
        write_text(home / name, text)
    print(f"{home}: {', '.join(pages)}")


def crate(options: argparse.Namespace) -> None:
    """Writes `ro-crate-metadata.json` into the project's top folder."""
    from distillery.audit.crate import write
    from distillery.audit.manifest import load, manifest_path

    manifest = load(options.root, manifest_path(options.profile, options.target))
    file = write(options.root, manifest, report=options.report)
    print(f"{file}: {len(manifest.jobs)} jobs")


def compare(options: argparse.Namespace) -> int:
    """Writes the determinism certificate of two runs."""
    from distillery.audit import determinism
    from distillery.audit.manifest import load, manifest_path
    from distillery.files import write_json, write_text

    roots = (options.first, options.second)
    path = manifest_path(options.profile, options.target)
    found = determinism.compare(roots, (load(roots[0], path), load(roots[1], path)), tuple(options.notes))
    write_json(options.out_dir / "determinism.json", found.content())
    write_text(options.out_dir / "determinism.md", found.page())
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.content()["counts"].items())
    print(f"{options.out_dir / 'determinism.md'}: {counts}")
    for one in found.files:
        if one.verdict not in determinism.GOOD:
            print(f"{one.path}: {one.verdict}, {one.why}")
    for line in found.jobs:
        print(line)
    return 0 if found.holds else 1
