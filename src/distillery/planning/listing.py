"""The jobs of a run, as Snakemake itself lists them.

A dry run with a logger plugin of ours (`plugin/`): the plugin interface and the fields of its event `JOB_INFO` are
documented and versioned by themselves. `--summary` and `--d3dag` know neither wildcards nor resources, the Python API
gives no access to the DAG, and the text of `-n` is meant for people.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distillery.errors import UserError

PLUGIN = Path(__file__).resolve().parent / "plugin"
"""Folder that holds the logger plugin and nothing else."""
HIGHEST = 1 << 30
"""In place of the word."""


class Job(NamedTuple):
    """A job of the DAG.

    Attributes:
        number: Snakemake's number of it.
        rule: Its rule.
        wildcards: Values of its wildcards.
        needs: Numbers of the jobs whose files it reads.
        threads: Cores that it asks for, of those that the listing was made with.
        priority: Higher goes first.
        resources: Whole-numbered resources (`mem_mb`, `runtime`, `gpu`).
        benchmark: File with the measured time of the job, if the rule has one.
    """

    number: int
    rule: str
    wildcards: Mapping[str, str]
    needs: frozenset[int]
    threads: int
    priority: int
    resources: Mapping[str, int]
    benchmark: str | None


def list_jobs(
    project: Path,
    configfile: Path,
    targets: Sequence[str],
    *,
    cores: int = 64,
    everything: bool = False,
    options: Sequence[str] = (),
) -> list[Job]:
    """The jobs that a run would do, in an order in which each comes after what it needs.

    Args:
        project: Folder of the Snakefile.
        configfile: Profile, relative to the folder.
        targets: Rules or files; none is the default rule.
        cores: Cores of the run, to which the threads of jobs are cut.
        everything: Also jobs whose files are there already.
        options: Further options of Snakemake.

    Raises:
        UserError: If Snakemake cannot build the DAG, with its words.
    """
    if not (project / "Snakefile").is_file():
        raise UserError("holds no Snakefile", file=project.resolve(), remedy="run in the project's top folder")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "jobs.jsonl"
        call = [sys.executable, "-m", "snakemake", *targets, "--dry-run", "--nolock", "--cores", str(cores)]
        call += ["--configfile", str(configfile), "--logger", "plan", "--quiet", "all"]
        call += [*(["--forceall"] if everything else []), *options]
        # The project's own code comes first, as in a run.
        paths = [str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])]
        variables = {**os.environ, "DISTILLERY_PLAN": str(file), "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(call, cwd=project, env=variables, capture_output=True, text=True, check=False)
        if done.returncode or not file.is_file():
            said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            reason = " ".join(" ".join(said[-8:]).split())[:600]
            raise UserError(
                f"Snakemake cannot say what is to be done ({reason})",
                file=project / configfile,
                remedy="see `snakemake -n` with the same --configfile",
            )
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return _jobs(lines)


def _jobs(lines: Sequence[dict[str, Any]]) -> list[Job]:
    maker: dict[str, int] = {file: line["id"] for line in lines for file in line["output"]}
    return [
        Job(
            number=line["id"],
            rule=line["rule"],
            wildcards=line["wildcards"],
            needs=frozenset({maker[file] for file in line["input"] if file in maker} - {line["id"]}),
            threads=line["threads"],
            priority=HIGHEST if line["priority"] == "highest" else int(line["priority"]),
            resources=line["resources"],
            benchmark=line["benchmark"],
        )
        for line in lines
    ]
