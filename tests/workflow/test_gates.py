"""Rules of the test sets that a server scores, with and without its answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from project import Project

SMOKE = ("--configfile", "config/smoke.yaml")
ANSWER = Path("answers/smoke/trackingnet_test/siamfc/dim-tskd/seed1.txt")
ZIP = "results/smoke/submissions/trackingnet_test/siamfc/dim-tskd/seed1.zip"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.copy(tmp_path_factory.mktemp("gates"))


def test_without_an_answer_no_job_makes_a_number(project: Project) -> None:
    jobs = project.jobs(*SMOKE)
    assert not {"track_server_test", "submission", "server_answer", "submissions"} & set(jobs)


def test_an_answer_is_taken_up_and_goes_into_the_tables(project: Project) -> None:
    file = project.root / ANSWER
    file.parent.mkdir(parents=True)
    file.write_text("Success: 57\nPrecision: 53\nNormalized Precision: 66\n")
    said = project.snakemake("--dry-run", *SMOKE, "--printshellcmds")
    assert f"--out {ZIP}" in said and f"--answer {ANSWER} --submission {ZIP}" in said
    assert "--label model=siamfc variant=dim-tskd seed=1" in said
    (tables,) = [line for line in said.splitlines() if "distillery tables" in line]
    assert "results/smoke/metrics/trackingnet_test/siamfc/dim-tskd/seed1.json" in tables
    file.with_suffix(".json").write_text("{}")
    twice = project.snakemake("--dry-run", *SMOKE, check=False)
    assert "answer the same submission" in twice
