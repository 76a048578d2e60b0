"""Where one number comes from: its whole ancestry, with hashes, commit, config, seeds and hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distillery.audit.cells import Cell, find
from distillery.audit.graph import Graph, model_of
from distillery.audit.manifest import Manifest


@dataclass
class Trace:
    """The ancestry of a cell.

    Attributes:
        cell: The cell.
        files: What the number rests on, with what each was made of; the table first.
        seeds: Seeds of the metrics that it averages.
        seconds: Of all jobs on the way, each counted once.
        commit: Commit of the code.
        config: File of the profile, and the hash of what it resolves to.
    """

    cell: Cell
    files: list[Link] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0
    commit: str | None = None
    config: tuple[str, str] = ("", "")

    def lines(self) -> Iterator[str]:
        """The ancestry as text, each file once."""
        yield f"{self.cell} = {self.cell.value}"
        seeds = f"seeds {', '.join(map(str, self.seeds))}" if self.seeds else "no seed"
        config = f"config {self.config[0]} ({self.config[1][:12]})"
        yield f"commit {self.commit or 'unknown'}, {config}, {seeds}, {_time(self.seconds)} of jobs"
        for link in self.files:
            yield f"{'  ' * link.depth}{link.path}  {link.sha256[:12]}{link.how}"


@dataclass(frozen=True)
class Link:
    """One file of an ancestry.

    Attributes:
        path: Of the file.
        sha256: Its hash.
        depth: Steps from the table.
        how: What made it, as text.
    """

    path: str
    sha256: str
    depth: int
    how: str


def trace(root: Path, manifest: Manifest, text: str) -> Trace:
    """Follows a cell back to the data.

    Args:
        root: Top folder of the project.
        manifest: Of the run.
        text: What a reader calls the cell.

    Raises:
        UserError: If no cell, or several, are meant.
    """
    cell = find(root, manifest, text)
    graph = Graph(manifest, root)
    content = manifest.content
    found = Trace(
        cell,
        commit=content["code"].get("commit"),
        config=(str(content["config"].get("file")), str(content["config"].get("resolved"))),
    )
    jobs: set[str] = set()
    _follow(manifest, graph, cell, cell.table, 0, found, jobs, set())
    found.seeds = sorted(
        {model.seed for link in found.files if "/metrics/" in link.path and (model := model_of(link.path))}
    )
    found.seconds = sum(float(manifest.jobs[name].get("seconds") or 0) for name in jobs)
    return found


def _follow(
    manifest: Manifest, graph: Graph, cell: Cell, path: str, depth: int, found: Trace, jobs: set[str], seen: set[str]
) -> None:
    entry = manifest.artefacts.get(path)
    if entry is None:
        return
    name = entry["job"]
    again = path in seen
    job = manifest.jobs.get(name, {})
    how = " (see above)" if again else f"  by {job.get('rule', 'no job')}, {_time(float(job.get('seconds') or 0))}"
    found.files.append(Link(path, entry["sha256"], depth, how))
    if again:
        return
    seen.add(path)
    jobs.add(name)
    for source in graph.inputs_of(path):
        if belongs(cell, path, source):
            _follow(manifest, graph, cell, source, depth + 1, found, jobs, seen)


def belongs(cell: Cell, path: str, source: str) -> bool:
    """Whether an input of the job that made a file matters to the cell: jobs make files of many models at once."""
    made, read = model_of(path), model_of(source)
    if path == cell.table:
        return cell.rests_on(source)
    if made is None:  # sizes and speeds of all networks are measured in one job
        return read is None or f"{read.model}/{read.variant}" in cell.models
    if read is None or made.benchmark is None:  # all that a training read matters to each of its networks
        return True
    return (made.model, made.variant, made.seed) == (read.model, read.variant, read.seed)


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 600 else f"{seconds:.0f} s"
