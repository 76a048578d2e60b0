"""What each row of the main tables cost: seconds, CPU-hours, GPU-hours and memory of all jobs that it rests on.

A job that serves several rows (one training of two students, one scoring of all trackers) is marked as shared: a row
counts it whole, as what it takes to make that row alone, and its share divides it by the rows of the table that rest on
it, so that shares may be summed.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.audit.cells import Cell, cells
from distillery.audit.graph import Graph
from distillery.audit.manifest import Manifest
from distillery.audit.trace import belongs
from distillery.errors import UserError

_Row = tuple[str, tuple[tuple[str, str], ...]]
MAIN = ("tracking", "person_search")
"""The tables that papers are cited for; each has a row a method."""


@dataclass(frozen=True)
class Cost:
    """What some jobs took together.

    Attributes:
        jobs: How many.
        seconds: Wall clock of the jobs, one after another.
        cpu_seconds: Of those jobs in which it was measured.
        unmeasured: Jobs without such a measurement; Snakemake measures those that have a `benchmark:`.
        gpu_seconds: Wall clock of the jobs that computed on a GPU.
        peak_mb: Largest resident memory of one of them; None if none was measured.
    """

    jobs: int
    seconds: float
    cpu_seconds: float
    unmeasured: int
    gpu_seconds: float
    peak_mb: float | None


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes:
        table: Name of the table.
        label: What the table calls the row.
        benchmark: Of the row, where rows stand for one.
        cost: Of all jobs that the row rests on, each once.
        shared: How many of these serve other rows of the table too.
        own_seconds: Wall clock of the jobs that no other row rests on.
        share_seconds: Wall clock, that of a shared job divided by the rows that rest on it.
        names: The jobs.
    """

    table: str
    label: str
    benchmark: str
    cost: Cost
    shared: int
    own_seconds: float
    share_seconds: float
    names: frozenset[str]


def cost_of(manifest: Manifest, names: Iterable[str]) -> Cost:
    """Sums jobs, each once."""
    jobs = [manifest.jobs[name] for name in sorted(set(names))]
    cpu = [job["cpu_seconds"] for job in jobs if job.get("cpu_seconds") is not None]
    peaks = [job["peak_mb"] for job in jobs if job.get("peak_mb") is not None]
    return Cost(
        jobs=len(jobs),
        seconds=math.fsum(_seconds(job) for job in jobs),
        cpu_seconds=math.fsum(cpu),
        unmeasured=len(jobs) - len(cpu),
        gpu_seconds=math.fsum(_seconds(job) for job in jobs if on_gpu(job, manifest.content.get("machine", {}))),
        peak_mb=max(peaks, default=None),
    )


def on_gpu(job: dict[str, Any], machine: dict[str, Any]) -> bool:
    """Whether a job computed on a GPU: it was told so, or told to use what is there and there was one."""
    params = job.get("params")
    compute = params.get("compute") if isinstance(params, dict) else None
    device = compute.get("device") if isinstance(compute, dict) else None
    return device == "cuda" or (device == "auto" and bool(machine.get("gpus")))


def lines(root: Path, manifest: Manifest, tables: tuple[str, ...] = MAIN) -> list[Line]:
    """The rows of the main tables with what each cost.

    Args:
        root: Top folder of the project.
        manifest: Of the run.
        tables: Names of tables.

    Raises:
        UserError: If shares do not sum to what the jobs took: the manifest is not consistent.
    """
    graph = Graph(manifest, root)
    rows: dict[_Row, list[Cell]] = {}
    for cell in cells(root, manifest):
        # Scores, not sizes and speeds: these are of all networks at once, and no reader asks what they cost.
        if Path(cell.table).stem in tables and cell.benchmark:
            rows.setdefault((cell.table, cell.row), []).append(cell)
    jobs = {row: _jobs(manifest, graph, of) for row, of in rows.items()}
    found: list[Line] = []
    for table in dict.fromkeys(table for table, _ in rows):
        found += _of_table(manifest, {row: (rows[row][0], names) for row, names in jobs.items() if row[0] == table})
    return found


def _of_table(manifest: Manifest, rows: dict[_Row, tuple[Cell, frozenset[str]]]) -> list[Line]:
    uses = Counter(name for _, names in rows.values() for name in names)
    found = [
        Line(
            table=Path(cell.table).stem,
            label=cell["label"],
            benchmark=cell["benchmark"],
            cost=cost_of(manifest, names),
            shared=sum(uses[name] > 1 for name in names),
            own_seconds=math.fsum(_seconds(manifest.jobs[name]) for name in names if uses[name] == 1),
            share_seconds=math.fsum(_seconds(manifest.jobs[name]) / uses[name] for name in sorted(names)),
            names=names,
        )
        for cell, names in rows.values()
    ]
    _check_sum(manifest, found, set(uses))
    return found


def _check_sum(manifest: Manifest, found: list[Line], names: set[str]) -> None:
    shares, whole = math.fsum(line.share_seconds for line in found), cost_of(manifest, names).seconds
    if not math.isclose(shares, whole, rel_tol=1e-9, abs_tol=1e-6):
        raise UserError(
            f"its rows' shares are {shares:.3f} s together, its jobs took {whole:.3f} s",
            file=manifest.path,
            place=f"table {found[0].table}",
            remedy="restore the manifest",
        )


def _jobs(manifest: Manifest, graph: Graph, of: list[Cell]) -> frozenset[str]:
    """Jobs on the way to any cell of a row."""
    names: set[str] = set()
    for cell in of:
        seen, pending = {cell.table}, [cell.table]
        while pending:
            path = pending.pop()
            name = graph.job_of(path)
            if name is None or name not in manifest.jobs:
                continue
            names.add(name)
            following = [one for one in graph.inputs_of(path) if one not in seen and belongs(cell, path, one)]
            seen.update(following)
            pending += following
    return frozenset(names)


def _seconds(job: dict[str, Any]) -> float:
    try:
        return float(job.get("seconds") or 0.0)
    except (TypeError, ValueError) as error:
        why = f"does not say how long a job of rule {job.get('rule')} took"
        raise UserError(why, file="manifest.json", remedy="restore the manifest") from error


def stages(manifest: Manifest) -> dict[str, Cost]:
    """Rule -> what its jobs took; rules that differ in the name of a dataset or target alone stay apart."""
    rules: dict[str, list[str]] = {}
    for name, job in manifest.jobs.items():
        rules.setdefault(job["rule"], []).append(name)
    return {rule: cost_of(manifest, names) for rule, names in sorted(rules.items())}


COLUMNS = (
    "table",
    "label",
    "benchmark",
    "jobs",
    "shared_jobs",
    "seconds",
    "own_seconds",
    "share_seconds",
    "cpu_seconds",
    "jobs_without_cpu",
    "gpu_seconds",
    "peak_mb",
)


def as_csv(found: list[Line]) -> str:
    """The ledger as CSV, seconds with milliseconds."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in found:
        cost = line.cost
        row = [line.table, line.label, line.benchmark, cost.jobs, line.shared]
        row += [f"{value:.3f}" for value in (cost.seconds, line.own_seconds, line.share_seconds, cost.cpu_seconds)]
        row += [cost.unmeasured, f"{cost.gpu_seconds:.3f}", "" if cost.peak_mb is None else f"{cost.peak_mb:.1f}"]
        writer.writerow(row)
    return stream.getvalue()


def as_markdown(manifest: Manifest, found: list[Line]) -> str:
    """The ledger as a page: the run as a whole, the rows of each table with their sum, and the stages."""
    return "\n".join(_page(manifest, found)) + "\n"


def _page(manifest: Manifest, found: list[Line]) -> Iterator[str]:
    whole = cost_of(manifest, manifest.jobs)
    content = manifest.content
    yield f"# Compute ledger: profile {content['profile']}, {content['target']}"
    yield ""
    yield (
        f"From `{manifest.path}`. The run: {whole.jobs} jobs, {hours(whole.seconds)} h of wall clock one after "
        f"another, {hours(whole.cpu_seconds)} CPU-hours measured, {hours(whole.gpu_seconds)} GPU-hours, at most "
        f"{memory(whole.peak_mb)} of memory in one job. CPU time is a lower bound: Snakemake reads it now and then "
        f"while a job runs, and {whole.unmeasured} jobs are not measured. A machine that computes other things "
        "meanwhile makes wall clocks longer."
    )
    yield ""
    yield (
        "“Hours” are all jobs that the scores of a row rest on, each once, as if that row alone were made. “Share” "
        "divides a job that serves several rows of the table by their number; shares sum to what the table took."
    )
    for table in dict.fromkeys(line.table for line in found):
        mine = [line for line in found if line.table == table]
        yield from ("", f"## Table {table}", "")
        yield "| row | jobs | of these shared | hours | own hours | share, h | CPU-hours | GPU-hours | peak memory |"
        yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
        for line in mine:
            yield _row(line)
        names = frozenset().union(*(line.names for line in mine))
        total = cost_of(manifest, names)
        share = math.fsum(line.share_seconds for line in mine)
        yield (
            f"| **together, each job once** | {total.jobs} | | {hours(total.seconds)} | | {hours(share)} | "
            f"{hours(total.cpu_seconds)} | {hours(total.gpu_seconds)} | {memory(total.peak_mb)} |"
        )
        rest = cost_of(manifest, set(manifest.jobs) - names)
        yield from ("", f"The other {rest.jobs} jobs of the run took {hours(rest.seconds)} h.")
    yield from ("", "## Stages", "", "| rule | jobs | hours | CPU-hours | GPU-hours | peak memory |")
    yield "|---|--:|--:|--:|--:|--:|"
    for rule, cost in stages(manifest).items():
        cpu = "not measured" if cost.unmeasured == cost.jobs else hours(cost.cpu_seconds)
        gpu, peak = hours(cost.gpu_seconds), memory(cost.peak_mb)
        yield f"| {rule} | {cost.jobs} | {hours(cost.seconds)} | {cpu} | {gpu} | {peak} |"


def _row(line: Line) -> str:
    cost = line.cost
    label = f"{line.label}, {line.benchmark}" if line.benchmark else line.label
    times = (cost.seconds, line.own_seconds, line.share_seconds, cost.cpu_seconds, cost.gpu_seconds)
    row = [label, str(cost.jobs), str(line.shared), *map(hours, times), memory(cost.peak_mb)]
    return f"| {' | '.join(row)} |"


def hours(seconds: float) -> str:
    """Seconds as hours, four decimals: a tenth of a second is too small to be seen."""
    return f"{seconds / 3600:.4f}"


def memory(megabytes: float | None) -> str:
    """MiB in words."""
    return "not measured" if megabytes is None else f"{megabytes:.0f} MiB"
