"""What runs again after which change. Outputs are empty stand-ins here: only Snakemake's decisions are under test."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from project import Project

PAPER = {"tables_headline", "figures_headline", "report_headline"}
MEASURED = {"profile_networks_headline", "response_maps_headline"}


def outputs(project: Project, *arguments: str) -> list[Path]:
    """Output files of the whole DAG, as Snakemake lists them."""
    rows = project.snakemake("--summary", *arguments).splitlines()
    table = [row.split("\t") for row in rows if "\t" in row]
    assert table[0][0] == "output_file"
    return [project.root / row[0] for row in table[1:]]


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which everything has been made, as far as Snakemake can tell."""
    project = Project.copy(tmp_path_factory.mktemp("done"))
    files = outputs(project)
    assert len(files) > 200
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    # All of them: without --forceall a file that happens to look new is left without a record of how it was made.
    project.snakemake("--touch", "--forceall", "--quiet", "all")
    return project


@pytest.fixture
def project(done: Project, tmp_path: Path) -> Project:
    shutil.copytree(done.root, tmp_path / "project", symlinks=True)  # dates are kept
    return Project(tmp_path / "project")


def test_a_finished_project_has_nothing_to_do(done: Project) -> None:
    assert done.jobs() == {}


def test_dates_alone_rerun_nothing(project: Project) -> None:
    """A checkout, a copy or a restore rewrites every date, in any order."""
    later = 4_000_000_000
    for number, path in enumerate(sorted(project.root.rglob("*"), reverse=True)):
        if ".snakemake" not in path.parts:
            os.utime(path, (later + number, later + number))
    assert project.jobs() == {}


def test_editing_the_tracker_reruns_the_trackers_and_the_paper(project: Project) -> None:
    project.append("src/distillery/tracking/siamfc.py")
    jobs = project.jobs()
    for run in ("teacher", "ground_truth", "tskd", "tsskd"):
        assert jobs[f"train_siamfc_{run}"] == 3
    assert jobs["record_teacher"] == 3
    assert jobs["track_benchmarks"] == 7
    assert set(jobs) >= PAPER
    other = {"dataset", "train_reid", "lookup_table", "train_search", "search", "score_search", "train_siamrpn_teacher"}
    assert not other & set(jobs)


def test_editing_the_reader_of_a_benchmark_reruns_what_reads_it(project: Project) -> None:
    project.append("src/distillery/tracking/benchmarks/lasot.py")
    jobs = project.jobs()
    assert jobs["dataset"] == 1
    assert jobs["track_benchmarks"] == 14
    assert not {"train_siamfc_teacher", "train_reid", "search"} & set(jobs)


def test_editing_a_protocol_reruns_its_scores_only(project: Project) -> None:
    project.append("src/distillery/tracking/protocols/vot.py")
    jobs = project.jobs()
    assert jobs["score_tracking_headline"] == 1
    assert not any(name.startswith(("train", "track", "dataset")) for name in jobs)


def test_editing_a_source_of_the_paper_stage_reruns_no_training(project: Project) -> None:
    project.append("src/distillery/paper/tables/__init__.py")
    jobs = project.jobs()
    assert "tables_headline" in jobs
    assert set(jobs) <= PAPER | {"publish_headline"}


@pytest.mark.parametrize("file", ["src/distillery/cli.py", "src/distillery/engine/progress.py", "docs/config.md"])
def test_editing_what_only_talks_reruns_nothing(project: Project, file: str) -> None:
    project.append(file)
    assert project.jobs() == {}


def test_a_hyper_parameter_of_one_run_reruns_its_branch_only(project: Project) -> None:
    project.edit(
        "config/mini.yaml", "          sharing: &sharing {", "          omega: 50.0\n          sharing: &sharing {"
    )
    jobs = project.jobs()
    # Two networks of one run, three seeds.
    assert jobs.pop("train_siamfc_tsskd") == 3
    assert jobs.pop("track_benchmarks") == 2
    assert jobs.pop("score_tracking_headline") == 5
    assert {jobs.pop(name) for name in MEASURED} == {1}
    assert set(jobs) == PAPER | {"publish_headline"}


def test_a_changed_architecture_of_one_network_leaves_the_other_networks_runs(project: Project) -> None:
    project.edit(
        "config/mini.yaml",
        "third: { layout: compact, width: 0.25, ratios: [0.4,",
        "third: { layout: compact, width: 0.25, ratios: [0.3,",
    )
    assert set(project.jobs()) == {"report_headline", "publish_headline"}, (
        "only an ablation trains it; the page prints it"
    )
    project.edit(
        "config/mini.yaml",
        "intelligent: { layout: compact, width: 0.25, ratios: [0.5,",
        "intelligent: { layout: compact, width: 0.25, ratios: [0.6,",
    )
    jobs = project.jobs()
    assert jobs["train_siamfc_tsskd"] == 3
    assert not {"train_siamfc_teacher", "train_siamrpn_tsskd", "select_students", "train_search"} & set(jobs)


def test_a_recording_that_was_thrown_away_is_no_reason_to_train(project: Project) -> None:
    shutil.rmtree(project.root / "recordings")
    assert project.jobs() == {}


def test_a_changed_search_reruns_its_students(project: Project) -> None:
    project.edit("config/mini.yaml", "budget: 13", "budget: 12")
    jobs = project.jobs()
    assert jobs["select_students"] == 1
    assert jobs["train_siamfc_tskd"] == 3
    assert not {"train_siamfc_teacher", "train_siamrpn_tskd"} & set(jobs)


def test_a_further_seed_adds_its_jobs_and_repeats_none(project: Project) -> None:
    project.edit("config/mini.yaml", "seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]")
    jobs = project.jobs()
    assert jobs["train_siamfc_teacher"] == jobs["train_reid"] == jobs["lookup_table"] == 1
    assert jobs["train_search"] == 4
    assert not {"dataset", "track_baseline", "search_baseline", "select_students", *MEASURED} & set(jobs)


def test_changed_data_reruns_its_users_only(project: Project) -> None:
    manifest = project.root / "data/mini/cuhk_sysu.json"
    manifest.write_text(json.dumps({"changed": True}))
    jobs = project.jobs()
    assert jobs["train_reid"] == 3
    assert jobs["train_search"] == 12
    assert not {"train_siamfc_teacher", "track_benchmarks", "score_tracking_headline", "dataset"} & set(jobs)
