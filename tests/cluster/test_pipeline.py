"""The smoke pipeline through SLURM, to its end, against the same pipeline run on this machine without SLURM."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster.controllers import Controller
from cluster.slurm_node import Node
from project import Project, environment

pytestmark = pytest.mark.slow

SMOKE = ("--configfile", "config/smoke.yaml")
RESULTS, CHECKPOINTS = "results/smoke", "checkpoints/smoke"
REDONE = (
    f"{CHECKPOINTS}/tracking/siamfc/*-ground_truth",
    f"{RESULTS}/predictions/*/siamfc/*-ground_truth",
    f"{CHECKPOINTS}/person_search/cuhk_sysu/oim/small-*",
    f"{RESULTS}/predictions/cuhk_sysu/oim/small-*",
    f"{RESULTS}/metrics",
    f"{RESULTS}/*.*",
    f"{RESULTS}/tables",
    f"{RESULTS}/figures",
)
"""From one training of each paper on. The jobs before them would cost minutes more and show nothing else."""
JOBS = {
    **{"train_siamfc_ground_truth": 2, "track_benchmarks": 2, "train_search_small": 1, "search_cuhk_sysu_small": 1},
    **{"profile_networks_headline": 1, "response_maps_headline": 1, "feature_space": 1, "publish_headline": 1},
    **{"score_tracking_headline": 5, "score_cuhk_sysu_headline": 1, "score_prw_headline": 1},
    **{"score_prw_mini_headline": 1, "claims_headline": 1, "tables_headline": 1, "figures_headline": 1},
    **{"report_headline": 1, "manifest_headline": 1, "checklists_headline": 1},
}
WHOLE = "DISTILLERY_TEST_WHOLE_SLURM"
TIMED = re.compile(r"fps|speed|second|milliseconds")


@pytest.fixture(scope="module")
def local(smoke_run: tuple[Project, str]) -> Project:
    return smoke_run[0]


@pytest.fixture(scope="module", params=["end", "whole"])
def ran(
    request: pytest.FixtureRequest, slurm: Node, local: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, Controller]:
    """The project after its run through SLURM: of the end of the pipeline, or on demand of all of it."""
    root = tmp_path_factory.mktemp("slurm_run") / "distillery"
    if request.param == "whole":
        if not os.environ.get(WHOLE):
            pytest.skip(f"takes as long as the pipeline itself and some minutes more; set {WHOLE}=1")
        project = Project.copy(root)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    else:
        shutil.copytree(local.root, root, symlinks=True)  # dates are kept
        project = Project(root)
        for pattern in REDONE:
            found = list(root.glob(pattern))
            assert found, pattern
            for path in found:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert project.jobs(*SMOKE) == JOBS
    controller = Controller(project, slurm, ("all", *SMOKE, "--set-resources", "response_maps_headline:gpu=1"))
    controller.finish()
    return project, controller


def files(project: Project, pattern: str) -> dict[str, Path]:
    """Relative path -> file."""
    return {str(path.relative_to(project.root)): path for path in sorted(project.root.glob(pattern)) if path.is_file()}


@pytest.mark.parametrize(
    "pattern",
    [f"{CHECKPOINTS}/**/*", f"{RESULTS}/predictions/**/*.txt", f"{RESULTS}/predictions/**/*.npz", "data/smoke/*.json"],
)
def test_what_is_learnt_and_predicted_is_equal_to_the_byte(
    pattern: str, ran: tuple[Project, Controller], local: Project
) -> None:
    here, there = files(local, pattern), files(ran[0], pattern)
    assert here.keys() == there.keys()
    assert len(here) >= 8
    for name, file in here.items():
        assert file.read_bytes() == there[name].read_bytes(), name


def test_every_metric_is_equal(ran: tuple[Project, Controller], local: Project) -> None:
    here, there = (files(project, f"{RESULTS}/metrics/**/*.json") for project in (local, ran[0]))
    assert here.keys() == there.keys()
    assert len(here) > 100
    for name, file in here.items():
        assert untimed(json.loads(file.read_text())) == untimed(json.loads(there[name].read_text())), name


def untimed(value: Any) -> Any:
    """Without what tells how long something took, and hashes of files that hold it."""
    if isinstance(value, dict):
        return {name: untimed(inner) for name, inner in value.items() if not TIMED.search(name) and name != "inputs"}
    return value


def test_the_tables_are_equal_but_for_speeds(ran: tuple[Project, Controller], local: Project) -> None:
    here, there = (files(project, f"{RESULTS}/tables/*.csv") for project in (local, ran[0]))
    assert here.keys() == there.keys()
    for name, file in here.items():
        assert rows(file) == rows(there[name]), name


def rows(file: Path) -> list[dict[str, str]]:
    return [
        {column: cell for column, cell in row.items() if not TIMED.search(column)}
        for row in csv.DictReader(file.read_text().splitlines())
    ]


def test_it_went_to_its_end(ran: tuple[Project, Controller]) -> None:
    project, controller = ran
    assert "(100%) done" in controller.said.read_text()
    assert (project.root / RESULTS / "report.html").stat().st_size > 50_000
    assert "Nothing to be done" in project.snakemake(*SMOKE)


def test_an_audit_finds_the_record_of_every_job(ran: tuple[Project, Controller]) -> None:
    """Jobs on a cluster leave the records from which the manifest is made, with the hash of all that they read."""
    done = subprocess.run(
        [sys.executable, "-m", "distillery", "audit", "verify", "--profile", "smoke"],
        cwd=ran[0].root,
        env=environment() | {"PYTHONPATH": "src"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_light_jobs_share_one(ran: tuple[Project, Controller]) -> None:
    """Twelve jobs, from scores to report, are one of SLURM's; the last three run beside Snakemake."""
    logs = {file.parts[-2] for file in files(ran[0], "logs/smoke/**/*.log").values()}
    assert "headline" in logs
    if len(ran[1].jobs()) < 20:  # not the whole pipeline
        assert len(ran[1].jobs()) == sum(JOBS.values()) - 12 - 3 + 1


def test_slurm_was_asked_for_what_the_rule_says(ran: tuple[Project, Controller], slurm: Node) -> None:
    """A job that asks for a GPU has one, others have none; nothing is left in the queue."""
    jobs = dict(re.findall(r"jobid (\d+) \(log: \S+/((?:rule|group)_\w+)/", ran[1].said.read_text()))
    for number, rule in jobs.items():
        shown = slurm.command("scontrol", "show", "job", number)
        if shown:  # SLURM forgets jobs after some minutes
            assert ("gres:gpu:1" in shown) == (rule == "rule_response_maps_headline"), rule
            assert "JobState=COMPLETED" in shown
    assert slurm.command("squeue", "-h") == ""
