"""A run as a Workflow Run RO-Crate, profile Provenance Run Crate 0.5 (w3id.org/ro/wfrun/provenance/0.5).

The project's top folder is the crate: the one file that is written, `ro-crate-metadata.json`, describes what lies
there, so a restored bundle is a crate too. All of it is read from the manifest: equal manifests give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distillery.audit.crate_entities import Writer
from distillery.audit.crate_terms import CONTEXT, ENGINE
from distillery.audit.manifest import Manifest
from distillery.errors import UserError
from distillery.files import read_json, write_json

FILE = "ro-crate-metadata.json"


def write(root: Path, manifest: Manifest, *, report: Path | None = None) -> Path:
    """Describes a project and its run as a crate.

    Args:
        root: Top folder of the project; `ro-crate-metadata.json` is written there.
        manifest: Of the run.
        report: Snakemake's own report, relative to `root`, to be linked.

    Returns:
        The file.

    Raises:
        UserError: If the library is not installed, a file of the run is gone, or another crate lies there.
    """
    file = root / FILE
    if file.exists() and not _ours(file):
        raise UserError("describes another crate and would be overwritten", file=file, remedy="move it away")
    write_json(file, describe(root, manifest, report=report))
    return file


def describe(root: Path, manifest: Manifest, *, report: Path | None = None) -> dict[str, Any]:
    """The crate as JSON-LD.

    Args:
        root: Top folder of the project.
        manifest: Of the run.
        report: Snakemake's own report, relative to `root`.

    Raises:
        UserError: If the library is not installed, or a file of the run is gone.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise UserError("rocrate is not installed", remedy="pip install rocrate") from error
    crate = ROCrate(gen_preview=False, version="1.1")
    crate.metadata.extra_contexts.append(CONTEXT)
    Writer(root, manifest, crate).fill(report)
    found: dict[str, Any] = crate.metadata.generate()
    return found


def _ours(file: Path) -> bool:
    content = read_json(file)
    graph = content.get("@graph") if isinstance(content, dict) else None
    return isinstance(graph, list) and any(isinstance(one, dict) and one.get("@id") == ENGINE for one in graph)
