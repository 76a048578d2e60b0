"""The parameters that a profile gives the paper stage."""

from __future__ import annotations

from distillery.config.base import parse
from distillery.config.paper import PaperJob, from_profile


def test_order_labels_and_roles_of_the_default_profile(profile):
    job = from_profile(profile)
    assert [(variant.variant, variant.role) for variant in job.tracking.variants] == [
        ("teacher", "teacher"),
        ("dim-ground_truth", "reference"),
        ("dim-tsskd", "distilled"),
        ("intelligent-tsskd", "distilled"),
        ("static", "baseline"),
        ("ncc", "baseline"),
    ]
    assert {variant.compared_with for variant in job.tracking.variants[:4]} == {"siamfc/teacher"}
    assert [variant.key for variant in job.person_search.variants] == [
        "reid/teacher",
        "oim/large-oim",
        "oim/large-oim_table",
        "oim/small-oim",
        "oim/small-oim_table",
        "baseline/histogram",
    ]
    assert len({variant.label for part in (job.tracking, job.person_search) for variant in part.variants}) == 12


def test_comparisons_are_between_variants_that_exist(profile):
    job = from_profile(profile)
    for part in (job.tracking, job.person_search):
        keys = {variant.key for variant in part.variants}
        assert all({c.minuend, c.subtrahend} <= keys for c in part.comparisons)
    gains = [(c.minuend, c.subtrahend) for c in job.tracking.comparisons if c.question == "gain"]
    assert gains == [("siamfc/dim-tsskd", "siamfc/dim-ground_truth")]
    gains = [(c.minuend, c.subtrahend) for c in job.person_search.comparisons if c.question == "gain"]
    assert gains == [("oim/large-oim_table", "oim/large-oim"), ("oim/small-oim_table", "oim/small-oim")]


def test_the_config_travels_only_on_request_and_survives_json(profile):
    assert from_profile(profile).config is None
    job = from_profile(profile, with_config=True)
    assert job.config is not None
    assert job.config["profile"] == "mini"
    assert parse(PaperJob, job.model_dump(mode="json"), source="test") == job
