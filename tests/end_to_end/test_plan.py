"""The plan of the smoke run beside the run itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from typing import Any

import pytest

from distillery.audit.records import read_records
from project import Project, environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plan(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of all jobs of the run, with the times that Snakemake took of them, on two cores."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "cluster.yaml").write_text("cores: 2\nmemory_gb: 64\n")
    words = ["plan", "--configfile", "config/smoke.yaml", "--everything", "--benchmarks", "results/smoke/benchmarks"]
    files = ["--cluster", str(folder / "cluster.yaml"), "--out", str(folder / "plan.json")]
    command = [sys.executable, "-m", "distillery", *words, *files]
    variables = environment() | {"PYTHONPATH": "src"}
    subprocess.run(command, cwd=project.root, env=variables, capture_output=True, check=True)
    found: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    return found


def test_measured_times_are_those_of_the_records(project: Project, plan: dict[str, Any]) -> None:
    """Two clocks saw each job: Snakemake's, which the plan reads, and the one of the record that the job left."""
    jobs = read_records(project.root, "smoke")
    assert plan["total"]["jobs"] == len(jobs)
    seconds = defaultdict(list)
    for job in jobs:
        seconds[job.rule].append(job.seconds)
    measured = {name: rule for name, rule in plan["rules"].items() if rule["measured"] == rule["jobs"]}
    assert sum(rule["jobs"] for rule in measured.values()) == plan["total"]["measured"] > 60
    for name, rule in measured.items():
        assert 3600 * rule["core_hours"] == pytest.approx(sum(seconds[name]), abs=len(seconds[name]), rel=0.1), name


def test_the_simulated_run_keeps_to_the_bounds_of_list_scheduling(plan: dict[str, Any]) -> None:
    """Graham (1969): not under half of the work nor under the longest chain, not over their sum, on two cores."""
    cluster = plan["cluster"]
    half, chain, whole = cluster["core_hours"] / 2, cluster["critical_hours"], cluster["makespan_hours"]
    assert max(half, chain) <= whole * (1 + 1e-9)
    assert whole <= half + chain / 2 + 1e-9
