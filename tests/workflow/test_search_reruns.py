"""What of person search runs again after which change of the profile or of a dataset; as in test_reruns.py."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import REPOSITORY, Project, of_person_search, of_trainings

CONFIG = yaml.safe_load((REPOSITORY / "config" / "mini.yaml").read_text(encoding="utf-8"))
SEARCH, SETS = CONFIG["person_search"], ("cuhk_sysu", "prw")
RUNS = {name: run for name, run in SEARCH["runs"].items() if run.get("target", "headline") == "headline"}
PAPER = {f"{name}_headline" for name in ("tables", "figures", "claims", "report", "manifest", "checklists", "publish")}
Changed = Callable[..., dict[str, int]]


@pytest.fixture
def changed(done: Project, tmp_path: Path) -> Changed:
    """What would run after options of the profile were changed, and nothing else."""

    def jobs(**options: Any) -> dict[str, int]:
        config = copy.deepcopy(CONFIG)
        for option, value in options.items():
            *sections, name = option.split("__")
            place = config["person_search"]
            for section in sections:
                place = place[section]
            assert place.get(name) != value, "this changes nothing"
            place[name] = value
        file = tmp_path / "changed.yaml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        return done.jobs("--configfile", str(file))

    return jobs


def trainings(*runs: str, sets: int = 2) -> dict[str, int]:
    """Run -> its jobs: one a training set and network, for all seeds."""
    return {run: sets * len(RUNS[run]["networks"]) for run in runs}


def having(key: str, value: str | None = None) -> list[str]:
    """Runs that have a student with this setting."""
    return [
        name
        for name, run in RUNS.items()
        if any(key in student and value in (None, student[key]) for student in run["students"].values())
    ]


def searching(jobs: dict[str, int]) -> set[str]:
    """What searches anew: runs, `reid` and `baseline`."""
    return {name.removeprefix(f"search_{one}_") for name in jobs for one in SETS if name.startswith(f"search_{one}_")}


def test_the_same_profile_in_another_file_only_lists_the_run_anew(changed: Changed) -> None:
    """The manifest names the file, checklists are made of the manifest, and both are stored."""
    assert set(changed()) == {"manifest_headline", "checklists_headline", "publish_headline"}


def test_the_teacher_of_the_table_reruns_who_learns_from_it(changed: Changed) -> None:
    jobs = changed(reid_teacher__colour=0.15)
    assert jobs["train_reid"] == jobs["lookup_table"] == len(SETS)
    taught = having("table")
    assert {"oim", "small", "qeeps"} <= set(taught)
    assert "detector" not in taught
    assert of_trainings(jobs) == trainings(*taught)
    assert searching(jobs) == {*taught, "reid"}
    assert not [name for name in jobs if name.startswith(("pretrain", "dataset", "track", "train_siam"))]


def test_the_detection_teacher_reruns_whom_it_teaches(changed: Changed) -> None:
    jobs = changed(runs__detector__students__detector={"identities": 40})
    # QEEPS starts from the networks that it taught, too.
    taught = {"detector", *having("detector"), *having("start", "oim_detector")}
    assert of_trainings(jobs) == trainings(*taught)
    assert searching(jobs) == taught
    assert not {"train_reid", "lookup_table", "pretraining_data"} & set(jobs)


def test_an_option_of_one_student_reruns_its_run(changed: Changed) -> None:
    jobs = changed(runs__small__students__oim_table={"table": "reid", "frozen": False})
    assert of_trainings(jobs) == trainings("small")
    assert {name: count for name, count in jobs.items() if name.startswith("search_")} == {
        "search_cuhk_sysu_small": 1,
        "search_prw_small": 1,
    }
    assert not {"train_reid", "lookup_table", "feature_space"} & set(jobs)
    assert not [name for name in jobs if name.startswith(("pretrain", "dataset", "track", "train_siam"))]


def test_what_qeeps_alone_has_reruns_qeeps_alone(changed: Changed) -> None:
    jobs = changed(query__reduction=4)
    assert of_trainings(jobs) == trainings("qeeps")
    assert searching(jobs) == {"qeeps"}


def test_how_many_queries_are_searched_for_has_no_part_in_training(changed: Changed) -> None:
    jobs = changed(query__queries=30)
    assert jobs.pop("search_cuhk_sysu_qeeps") == jobs.pop("search_prw_qeeps") == 1
    assert jobs.pop("score_cuhk_sysu_headline") == jobs.pop("score_prw_mini_headline") == 1
    assert set(jobs) == PAPER


def test_pretraining_reruns_all_that_starts_from_it(changed: Changed) -> None:
    jobs = changed(pretraining__optimisation={**SEARCH["pretraining"]["optimisation"], "steps": 10})
    assert {name: count for name, count in jobs.items() if name.startswith("pretrain")} == {
        f"pretrain_{network}": 1 for network in SEARCH["pretraining"]["networks"]
    }
    assert of_trainings(jobs) == trainings(*RUNS)
    assert not {"dataset", "train_reid", "lookup_table"} & set(jobs)
    assert not [name for name in jobs if name.startswith(("track", "train_siam", "score_tracking", "record"))]


def test_its_data_are_made_anew_for_it_alone(changed: Changed) -> None:
    jobs = changed(pretraining__data={**SEARCH["pretraining"]["data"], "seed": 1})
    assert jobs["pretraining_data"] == jobs["pretrain_small"] == 1
    assert "dataset" not in jobs


@pytest.mark.parametrize("benchmark", SETS)
def test_a_changed_dataset_reruns_the_networks_that_it_trains(done: Project, benchmark: str) -> None:
    manifest = done.root / f"data/mini/{benchmark}.json"
    before = manifest.read_text()
    manifest.write_text(json.dumps({"changed": True}))
    try:
        jobs = done.jobs()
    finally:
        manifest.write_text(before)
    assert jobs["train_reid"] == jobs["lookup_table"] == 1
    assert of_trainings(jobs) == trainings(*RUNS, sets=1)
    assert {name for name in jobs if name.startswith("search_")} == {
        f"search_{benchmark}_{run}" for run in (*RUNS, "reid", "baseline")
    }
    tests = {"cuhk_sysu": {"cuhk_sysu"}, "prw": {"prw", "prw_mini"}}[benchmark]
    assert {name for name in jobs if name.startswith("score_")} == {f"score_{test}_headline" for test in tests}
    assert not [name for name in jobs if name.startswith(("pretrain", "dataset", "track", "train_siam"))]


def test_editing_what_qeeps_alone_runs_on_trains_nobody_else(project: Project) -> None:
    project.append("src/distillery/person_search/qeeps_training.py")
    jobs = project.jobs()
    assert of_trainings(jobs) == trainings("qeeps")
    assert not {"train_reid", "dataset", "pretraining_data"} & set(jobs)


def test_editing_a_reader_of_person_search_leaves_tracking_alone(project: Project) -> None:
    project.append("src/distillery/person_search/benchmarks/prw.py")
    jobs = project.jobs()
    assert of_person_search(jobs)
    assert not [name for name in jobs if name.startswith(("track", "train_siam", "score_tracking", "record"))]
