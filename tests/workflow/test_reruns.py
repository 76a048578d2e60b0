"""What runs again after which change. Outputs are empty stand-ins here: only Snakemake's decisions are under test."""

from __future__ import annotations

import os
import shutil

import pytest

from project import Project, of_person_search, of_trainings

PAPER = {"tables_headline", "figures_headline", "claims_headline", "report_headline"}
LAST = {"manifest_headline", "checklists_headline", "publish_headline"}
MEASURED = {"profile_networks_headline", "response_maps_headline"}


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
    assert not {"dataset", "train_siamrpn_teacher"} & set(jobs)
    assert not of_person_search(jobs)


def test_editing_the_reader_of_a_benchmark_reruns_what_reads_it(project: Project) -> None:
    project.append("src/distillery/tracking/benchmarks/lasot.py")
    jobs = project.jobs()
    assert jobs["dataset"] == 1
    assert jobs["track_benchmarks"] == 14
    assert "train_siamfc_teacher" not in jobs
    assert not of_person_search(jobs)


def test_editing_a_protocol_reruns_its_scores_only(project: Project) -> None:
    project.append("src/distillery/tracking/protocols/vot.py")
    jobs = project.jobs()
    assert jobs["score_tracking_headline"] == 1
    assert not any(name.startswith(("train", "track", "dataset")) for name in jobs)


def test_editing_a_source_of_the_paper_stage_reruns_no_training(project: Project) -> None:
    project.append("src/distillery/paper/tables/__init__.py")
    jobs = project.jobs()
    assert "tables_headline" in jobs
    assert set(jobs) <= PAPER | LAST


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
    assert set(jobs) == PAPER | LAST


def test_a_changed_architecture_of_one_network_leaves_the_other_networks_runs(project: Project) -> None:
    project.edit(
        "config/mini.yaml",
        "third: { layout: compact, width: 0.25, ratios: [0.4,",
        "third: { layout: compact, width: 0.25, ratios: [0.3,",
    )
    assert set(project.jobs()) == {"report_headline"} | LAST, "only an ablation trains it; the page prints it"
    project.edit(
        "config/mini.yaml",
        "intelligent: { layout: compact, width: 0.25, ratios: [0.5,",
        "intelligent: { layout: compact, width: 0.25, ratios: [0.6,",
    )
    jobs = project.jobs()
    assert jobs["train_siamfc_tsskd"] == 3
    assert not {"train_siamfc_teacher", "train_siamrpn_tsskd", "select_students"} & set(jobs)
    assert not of_person_search(jobs)


def test_a_recording_that_was_thrown_away_is_no_reason_to_train(project: Project) -> None:
    shutil.rmtree(project.root / "recordings")
    assert project.jobs() == {}


def test_a_changed_search_reruns_its_students(project: Project) -> None:
    project.edit("config/mini.yaml", "budget: 13", "budget: 12")
    jobs = project.jobs()
    assert jobs["select_students"] == 1
    assert jobs["train_siamfc_tskd"] == 3
    assert not {"train_siamfc_teacher", "train_siamrpn_tskd"} & set(jobs)


def test_a_further_seed_adds_its_jobs_and_repeats_those_of_all_seeds_alone(project: Project) -> None:
    project.edit("config/mini.yaml", "seeds: [0, 1, 2]", "seeds: [0, 1, 2, 3]")
    jobs = project.jobs()
    assert jobs["train_siamfc_teacher"] == 1
    # One job trains a network of person search with all seeds, on each set; what is measured on the first runs again.
    assert jobs["train_reid"] == 2
    assert set(of_trainings(jobs).values()) == {2}
    assert not {"dataset", "track_baseline", "select_students", "response_maps_headline"} & set(jobs)
    assert not [name for name in jobs if name.startswith("pretrain") or name.endswith("_baseline")]


def test_a_new_tolerance_judges_anew_and_runs_nothing_else(project: Project) -> None:
    project.edit("config/claims.yaml", "margin: 0.02", "margin: 0.03")
    assert set(project.jobs()) == {"claims_headline", "report_headline"} | LAST


def test_claims_that_are_none_are_one_sentence(project: Project) -> None:
    project.edit("config/claims.yaml", "  resamples:", "  resample:")
    said = project.snakemake("--dry-run", check=False)
    assert "did you mean `resamples`" in said
    assert "Traceback" not in said
