"""Rows, labels and comparisons of the second paper follow from its half of the config."""

from __future__ import annotations

import json

import pytest

from distillery.config.paper_search import search_part
from distillery.config.person_search import PersonSearch
from paper_profile import PERSON_SEARCH


def _search(**changes):
    return PersonSearch.model_validate_json(json.dumps(PERSON_SEARCH | changes))


@pytest.fixture(scope="module")
def search():
    return _search()


def _pairs(part, question, measure):
    chosen = [c for c in part.comparisons if c.question == question and c.measures[0] == measure]
    return [(c.minuend, c.subtrahend) for c in chosen]


def test_rows_of_the_headline(search):
    part = search_part(search, "headline")
    assert part.benchmarks == ("cuhk_sysu", "prw", "prw_mini")
    assert part.trained_on == {"cuhk_sysu": "cuhk_sysu", "prw": "prw", "prw_mini": "prw"}
    assert part.training_sets == ("cuhk_sysu", "prw")
    assert [(v.key, v.label, v.role, v.teaching) for v in part.variants] == [
        ("detector/large-detector", "detection teacher, large", "teacher", None),
        ("reid/teacher", "re-ID network, true boxes", "teacher", None),
        ("oim/large-oim", "OIM large", "reference", "plain"),
        ("oim/large-oim_detector", "OIM large + detector KD", "distilled", "detector"),
        ("oim/large-oim_table", "OIM large + ID table", "distilled", "table"),
        ("oim/large-oim_both", "OIM large + both", "distilled", "both"),
        ("oim/small-oim", "OIM small", "reference", "plain"),
        ("oim/small-oim_detector", "OIM small + detector KD", "distilled", "detector"),
        ("oim/small-oim_table", "OIM small + ID table", "distilled", "table"),
        ("oim/small-oim_both", "OIM small + both", "distilled", "both"),
        ("qeeps/large-qeeps", "QEEPS large", "reference", "plain"),
        ("qeeps/large-qeeps_table", "QEEPS large + ID table", "distilled", "table"),
        ("baseline/histogram", "colour histogram, true boxes", "baseline", None),
    ]
    by_key = {variant.key: variant for variant in part.variants}
    assert by_key["oim/small-oim_table"].compared_with == "oim/large-oim_table"
    assert by_key["oim/small-oim_table"].counterpart == "oim/small/table"
    assert by_key["qeeps/large-qeeps"].benchmarks == ("cuhk_sysu", "prw_mini")
    assert by_key["oim/large-oim_table"].short == "large + ID table"
    assert part.network_of("prw_mini", "oim/large-oim") == "prw/oim/large-oim"


def test_what_the_headline_claims(search):
    part = search_part(search, "headline")
    gains = _pairs(part, "gain", "map")
    assert ("oim/large-oim_table", "oim/large-oim") in gains
    assert ("oim/large-oim_table", "oim/large-oim_detector") in gains  # "considerably more effective"
    assert ("qeeps/large-qeeps_table", "qeeps/large-qeeps") in gains
    assert ("oim/large-oim_table", "oim/large-oim") in _pairs(part, "gain", "ap")  # "improves detection"
    assert _pairs(part, "gap", "map") == [
        ("oim/small-oim", "oim/large-oim"),
        ("oim/small-oim_table", "oim/large-oim_table"),
    ]
    # The network on crops is given true boxes, so its student is compared on these.
    assert ("oim/large-oim_table", "reid/teacher") in _pairs(part, "gap", "map_true")
    assert ("oim/small-oim_detector", "detector/large-detector") in _pairs(part, "gap", "ap")
    known = {variant.key for variant in part.variants}
    assert all({c.minuend, c.subtrahend} <= known for c in part.comparisons)
    claims = [(c.minuend, c.subtrahend, c.measures) for c in part.comparisons]
    assert len(set(claims)) == len(claims)
    assert len({c.statement for c in part.comparisons}) == len(claims)


def test_a_variation_is_compared_with_what_it_varies_and_with_no_teacher_under_its_conditions(search):
    part = search_part(search, "ablations")
    told = {v.variant: (v.label, v.varies, v.changes, v.ground_truth) for v in part.variants if v.changes}
    table, plain = "oim/small-oim_table", "oim/small-oim"
    means = "means of the re-ID network"
    assert told == {
        "small-oim_hint": (
            "OIM small + detector KD (hint)", "oim/small-oim_detector", "levels hint, rpn, rcnn → hint", plain,
        ),
        "small-oim_random": ("OIM small + ID table (random rows)", table, f"table {means} → random rows", plain),
        "small-oim_final": (
            "OIM small + ID table (final table of OIM large)", table, f"table {means} → final table of OIM large",
            plain,
        ),
        "small-oim_updated": ("OIM small + ID table (updated)", table, "table updated no → yes", plain),
        "small-oim_no_queue": ("OIM small (no queue)", plain, "queue 100 → 0", None),
        "small-oim_table_no_queue": (
            "OIM small + ID table (no queue)", table, "queue 100 → 0", "oim/small-oim_no_queue",
        ),
        "small-oim_long": ("OIM small (90 steps)", plain, "steps 40 → 90", None),
        "small-oim_table_long": ("OIM small + ID table (90 steps)", table, "steps 40 → 90", "oim/small-oim_long"),
    }  # fmt: skip
    gains, effects = _pairs(part, "gain", "map"), _pairs(part, "effect", "map")
    assert (table, "oim/small-oim_random") in gains  # the control
    assert ("oim/small-oim_random", plain) in effects  # nobody claims that random rows help
    assert ("oim/small-oim_table_long", "oim/small-oim_long") in gains  # does the gain last?
    assert ("oim/small-oim_updated", table) in effects
    assert not [c for c in part.comparisons if c.minuend == "oim/large-oim_table"]  # the headline's own


def test_labels_tell_every_pair_of_rows_apart(search):
    for target in ("headline", "ablations"):
        labels = [variant.label for variant in search_part(search, target).variants]
        assert len(set(labels)) == len(labels)
    students = {"oim_l1": {"detector": {"hint_norm": "l1"}}, "oim_l1_again": {"detector": {"hint_norm": "l1"}}}
    varied = {"networks": ["small"], "students": students, "optimisation": {"steps": 40, "batch": 4}}
    runs = PERSON_SEARCH["runs"] | {"varied": varied | {"target": "ablations"}}
    part = search_part(_search(runs=runs), "ablations")
    assert [v.label for v in part.variants if v.changes] == [
        "OIM small + detector KD (oim l1)",
        "OIM small + detector KD (oim l1 again)",
        *(v.label for v in part.variants if v.variant.endswith("long")),
    ]
    assert next(v for v in part.variants if v.variant == "small-oim_detector").label == "OIM small + detector KD"


def test_a_gain_that_conditions_would_confound_is_not_claimed():
    runs = {name: run for name, run in PERSON_SEARCH["runs"].items() if name != "varied"}
    alone = {"oim_table_no_queue": {"table": "reid", "queue": 0}}
    runs["varied"] = PERSON_SEARCH["runs"]["varied"] | {"students": alone}
    part = search_part(_search(runs=runs), "ablations")
    mine = [c for c in part.comparisons if c.minuend == "oim/small-oim_table_no_queue"]
    assert {(c.question, c.subtrahend) for c in mine} == {("effect", "oim/small-oim_table")}


def test_without_ablations_the_part_is_empty():
    runs = {name: run for name, run in PERSON_SEARCH["runs"].items() if run.get("target") != "ablations"}
    assert search_part(_search(runs=runs), "ablations").variants == ()
    assert search_part(_search(runs=runs, benchmarks=["prw"]), "headline").benchmarks == ("prw", "prw_mini")


def test_a_table_says_how_long_its_teacher_was_trained_where_that_is_unusual():
    tables = PERSON_SEARCH["tables"] | {"oim_final": {"teacher": "oim/small-oim_long", "construction": "final"}}
    part = search_part(_search(tables=tables), "ablations")
    assert part.tables["oim_final"] == "final table of OIM small of 90 steps"
    (label,) = (v.label for v in part.variants if v.variant == "small-oim_final")
    assert label == "OIM small + ID table (final table of OIM small of 90 steps)"
