"""The full-size matrix of the second paper: published values where there are any, and nothing of the issue left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from distillery.config import jobs
from distillery.config.paper_search import search_part
from distillery.config.person_search import PersonSearch
from distillery.config.profile import Profile, load

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load(CONFIG / "paper.yaml")


@pytest.fixture(scope="module")
def search(profile: Profile) -> PersonSearch:
    return profile.person_search


def test_oim_as_published(profile: Profile, search: PersonSearch) -> None:
    """train.prototxt, solver.prototxt, cfgs/resnet50.yml and train.sh of ShuangLI59/person_search."""
    job = jobs.search_training(profile, "oim", "large", 0)
    student = job["students"]["large-oim"]
    shape, identification = student["shape"], student["identification"]
    assert (shape["block"], shape["depths"], shape["width"]) == ("bottleneck", [3, 4, 6, 3], 64)
    assert (shape["stem_blocks"], shape["stride"], shape["norm"]) == (3, 16, "frozen")
    assert job["resize"] == {"shorter": 600, "longer": 1000}
    proposals, regions = job["proposals"], job["regions"]
    assert proposals["channels"] == 512
    assert proposals["anchor_sizes"] == [16 * scale for scale in (8, 16, 32)]
    assert proposals["anchor_ratios"] == [0.5, 1, 2]
    assert (proposals["positive_iou"], proposals["negative_iou"], proposals["batch"]) == (0.7, 0.3, 256)
    assert (proposals["pre_nms"], proposals["post_nms"], proposals["nms"]) == ([12000, 6000], [2000, 300], 0.7)
    assert (regions["size"], regions["pooling"], regions["batch"]) == ([14, 14], "pool", 128)
    assert (regions["positive_fraction"], regions["positive_iou"], regions["negative_iou"]) == (0.25, 0.5, 0.5)
    assert (regions["score"], regions["nms"]) == (0.05, 0.4)
    assert identification == {
        "dimension": 256, "temperature": 0.1, "momentum": 0.5, "queue": 5000, "batch_norm": False,
    }  # fmt: skip
    assert set(job["weights"].values()) == {1.0}
    plan = search.runs["oim"].optimisation
    assert (plan.optimiser, plan.steps, plan.batch, plan.momentum, plan.weight_decay) == ("sgd", 50_000, 2, 0.9, 5e-4)
    assert (plan.learning_rate, plan.final_learning_rate) == (1e-3, 1e-4)
    assert plan.schedule == "step" and plan.steps * plan.step_at == 40_000


def test_headline_is_the_papers(profile: Profile, search: PersonSearch) -> None:
    """Two methods in four ways, two sizes without and with the table, on both sets, with three seeds."""
    assert len(profile.seeds) >= 3
    part = search_part(search, "headline")
    assert part.benchmarks == ("cuhk_sysu", "prw", "prw_mini")
    told = {(v.model, v.counterpart.split("/")[1], v.teaching) for v in part.variants if v.counterpart and v.teaching}
    assert told == {
        *(("oim", "large", how) for how in ("plain", "detector", "table", "both")),
        *(("qeeps", "large", how) for how in ("plain", "detector", "table", "both")),
        ("oim", "small", "plain"),
        ("oim", "small", "table"),
    }
    assert {"detector/large-detector", "reid/teacher", "baseline/histogram"} <= {v.key for v in part.variants}
    # "Detect + OIM with QEEPS teacher", frozen, of either size.
    taught = {
        search.tables[student.table].teacher
        for run in search.runs.values()
        if run.target == "headline"
        for student in run.students.values()
        if student.table and student.frozen
    }
    assert taught == {"qeeps/large-qeeps"}
    assert search.networks["small"].depths == (2, 2, 2, 2) and search.networks["small"].block == "basic"
    starts = [
        student.start for run in search.runs.values() if run.method == "qeeps" for student in run.students.values()
    ]
    assert len(starts) == 4 and all(starts), "QEEPS starts from OIM"


def test_ablations_leave_nothing_of_the_matrix_out(search: PersonSearch) -> None:
    every = [
        (run, student)
        for run in search.runs.values()
        if run.target == "ablations"
        for student in run.students.values()
    ]  # fmt: skip
    levels = {student.detector.levels for _, student in every if student.detector}
    assert {("hint",), ("rpn",), ("rcnn",)} <= levels
    tables = {
        (table.teacher.partition("/")[0] if table.teacher else None, table.construction)
        for run in search.runs.values()
        for student in run.students.values()
        if student.table
        for table in [search.tables[student.table]]
    }
    assert tables == {
        ("reid", "mean"), ("oim", "mean"), ("qeeps", "mean"), ("oim", "final"), ("qeeps", "final"), (None, "random"),
    }  # fmt: skip
    assert any(student.table and not student.frozen for _, student in every), "updated table"
    settings = [("queue", 0), ("queue", 500), ("batch_norm", True)]
    counts = {student.identities for _, student in every if student.identities}
    for name, value in [*settings, *(("identities", count) for count in counts)]:
        ways = {student.table is None for _, student in every if getattr(student, name) == value}
        assert ways == {True, False}, f"{name} {value}: without and with the table"
    sets = {run.benchmarks for run, student in every if student.identities}
    assert sets == {("cuhk_sysu",), ("prw",)}
    steps = max(run.optimisation.steps for run, _ in every)
    assert steps >= 2 * search.runs["oim"].optimisation.steps


def test_every_variation_stands_beside_what_it_varies(search: PersonSearch) -> None:
    part = search_part(search, "ablations")
    rows = {variant.key: variant for variant in part.variants}
    assert len({variant.label for variant in part.variants}) == len(rows)
    for variant in part.variants:
        if variant.role == "distilled":
            assert variant.ground_truth in rows, f"{variant.label} has none without a teacher"
            shown_on = rows[variant.ground_truth].benchmarks or ()
            assert set(variant.benchmarks or ()) <= set(shown_on)
        if variant.changes and variant.varies:
            assert variant.changes.count("→") <= 1, f"{variant.label} varies more than one setting"
    claims = [(c.minuend, c.subtrahend, c.measures) for target in ("headline", "ablations") for c in
              search_part(search, target).comparisons]  # fmt: skip
    assert len(set(claims)) == len(claims)


def test_settings_that_qeeps_needs_beyond_oim_reach_its_jobs(profile: Profile) -> None:
    query = jobs.search_training(profile, "qeeps", "large", 0)["query"]
    assert (query["guided"], query["reduction"], query["proposals"], query["similarity"]) == ("conv2", 16, 1, 1)
    test = jobs.search(profile, "qeeps")
    assert test["gallery_size"] == 100 and test["queries"] is None, "all queries, in the published gallery"
    assert jobs.search_training(profile, "oim", "large", 0)["query"] is None
