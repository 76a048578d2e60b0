"""The plan of the smoke run beside the run itself, by the clock of one and the same machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distillery.audit.records import read_records
from project import Project, environment

pytestmark = pytest.mark.slow


def test_the_simulated_run_takes_as_long_as_the_real_one(project: Project, tmp_path: Path) -> None:
    """From the measured time of each job, on two cores; what Snakemake takes between jobs is not simulated."""
    (tmp_path / "cluster.yaml").write_text("cores: 2\nmemory_gb: 64\n")
    out = tmp_path / "plan.json"
    words = ["plan", "--configfile", "config/smoke.yaml", "--everything", "--benchmarks", "results/smoke/benchmarks"]
    command = [
        sys.executable,
        "-m",
        "distillery",
        *words,
        "--cluster",
        str(tmp_path / "cluster.yaml"),
        "--out",
        str(out),
    ]
    variables = environment() | {"PYTHONPATH": "src"}
    subprocess.run(command, cwd=project.root, env=variables, capture_output=True, check=True)
    plan = json.loads(out.read_text())
    jobs = read_records(project.root, "smoke")
    seconds = max(job.started + job.seconds for job in jobs) - min(job.started for job in jobs)
    assert plan["total"]["jobs"] == len(jobs)
    assert plan["total"]["measured"] > 60
    cluster = plan["cluster"]
    assert 0.6 < 3600 * cluster["makespan_hours"] / seconds < 1.4
    assert cluster["critical_hours"] < cluster["makespan_hours"]
    # Two cores are busy for at most twice the time.
    assert cluster["core_hours"] <= 2 * cluster["makespan_hours"] + 1e-9
