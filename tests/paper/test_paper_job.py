"""The parameters that a profile gives the paper stage."""

from __future__ import annotations

import json

import pytest

from distillery.config.base import parse
from distillery.config.paper import from_profile
from distillery.config.paper_job import PaperJob
from distillery.paper.figures import FIGURES
from distillery.paper.tables import TABLES


def _pairs(job, question):
    return [(c.minuend, c.subtrahend) for c in job.tracking.comparisons if c.question == question]


def test_order_labels_and_roles_of_the_headline(profile):
    job = from_profile(profile)
    assert [(variant.key, variant.role) for variant in job.tracking.variants] == [
        ("siamfc/teacher", "teacher"),
        ("siamfc/dim-ground_truth", "reference"),
        ("siamfc/dim-tskd", "distilled"),
        ("siamfc/dim-tsskd", "distilled"),
        ("siamfc/intelligent-ground_truth", "reference"),
        ("siamfc/intelligent-tskd", "distilled"),
        ("siamfc/intelligent-tsskd", "distilled"),
        ("siamrpn/teacher", "teacher"),
        ("siamrpn/dim-ground_truth", "reference"),
        ("siamrpn/dim-tsskd", "distilled"),
        ("baseline/static", "baseline"),
        ("baseline/ncc", "baseline"),
    ]
    assert {variant.compared_with for variant in job.tracking.variants[:7]} == {"siamfc/teacher"}
    assert job.tracking.variants[3].label == "SiamFC dim, TSsKD"
    assert job.tracking.variants[3].short == "dim, TSsKD"
    assert job.tracking.families == ("siamfc", "siamrpn")
    assert job.person_search.families == ("detector", "reid", "oim", "qeeps")


def test_what_the_headline_compares(profile):
    job = from_profile(profile)
    for part in job.parts.values():
        keys = {variant.key for variant in part.variants}
        assert all({c.minuend, c.subtrahend} <= keys for c in part.comparisons)
    gains, gaps = _pairs(job, "gain"), _pairs(job, "gap")
    assert [pair for pair in gains if "siamfc/dim" in pair[0]] == [
        ("siamfc/dim-tskd", "siamfc/dim-ground_truth"),
        ("siamfc/dim-tsskd", "siamfc/dim-ground_truth"),
        ("siamfc/dim-tsskd", "siamfc/dim-tskd"),  # sharing
    ]
    assert {pair[1] for pair in gaps} == {"siamfc/teacher", "siamrpn/teacher"}
    assert ("siamrpn/dim-tsskd", "siamrpn/dim-ground_truth") in gains
    assert not _pairs(job, "effect")
    assert job.margin == 0.02


def test_an_ablation_is_compared_with_the_run_it_varies(profile):
    job = from_profile(profile, target="ablations")
    found = {variant.key: variant for variant in job.tracking.variants}
    told = {key: (variant.varies, variant.changes) for key, variant in found.items() if variant.varies}
    assert told == {
        "siamfc/dim-soft": ("siamfc/dim-tskd", "lambda 0.1 → 0, omega 100 → 0"),
        "siamfc/dim-label_map": ("siamfc/dim-ground_truth", "control none → label_map"),
        "siamfc/dim-gate_own": ("siamfc/dim-tsskd", "gate other → own"),
        "siamfc/intelligent-gate_own": ("siamfc/intelligent-tsskd", "gate other → own"),
        "siamfc/dim-three_students": ("siamfc/dim-tsskd", "students 2 → 3"),
        "siamfc/intelligent-three_students": ("siamfc/intelligent-tsskd", "students 2 → 3"),
        "siamfc/dim_random-shapes": ("siamfc/dim-tskd", "channels by random search"),
        "siamfc/dim-ground_truth_long": ("siamfc/dim-ground_truth", "steps 40 → 90"),
        "siamfc/dim-tskd_long": ("siamfc/dim-tskd", "steps 40 → 90"),
    }
    assert found["siamfc/third-three_students"].changes == "a network of its own"
    effects, gains = _pairs(job, "effect"), _pairs(job, "gain")
    assert ("siamfc/dim-soft", "siamfc/dim-tskd") in effects
    assert ("siamfc/dim-soft", "siamfc/dim-ground_truth") in gains
    # Longer training against longer training, the control against the nearest distillation, the policy against chance.
    assert ("siamfc/dim-tskd_long", "siamfc/dim-ground_truth_long") in gains
    assert ("siamfc/dim-tskd_long", "siamfc/dim-ground_truth") not in gains
    assert ("siamfc/dim-tskd", "siamfc/dim-label_map") in gains
    assert ("siamfc/dim-tskd", "siamfc/dim_random-shapes") in gains
    assert len({(c.minuend, c.subtrahend) for c in job.tracking.comparisons}) == len(job.tracking.comparisons)


def test_a_family_of_the_ablations_alone_is_compared_as_a_headline_is(profile):
    job = from_profile(profile, target="ablations")
    mine = [c for c in job.tracking.comparisons if c.minuend.startswith("siamrpnpp")]
    assert [(c.question, c.minuend, c.subtrahend) for c in mine] == [
        ("gain", "siamrpnpp/r18-tskd", "siamrpnpp/r18-ground_truth"),
        ("gap", "siamrpnpp/r18-tskd", "siamrpnpp/teacher"),
    ]
    assert all(variant.varies is None for variant in job.tracking.variants if variant.model == "siamrpnpp")


@pytest.mark.parametrize("target", ["headline", "ablations"])
def test_every_output_has_someone_who_makes_it_and_a_caption(profile, repository, target):
    job = from_profile(profile, target=target)
    assert set(job.tables) <= set(TABLES)
    assert set(job.figures) <= set(FIGURES)
    for name in (*job.tables, *job.figures, "report"):
        assert (repository / "workflow" / "report" / f"{name}.rst").is_file(), name


def test_outputs_follow_the_profile(profile):
    headline = from_profile(profile)
    assert {"expected_overlap", "normalized_precision", "selection", "qualitative_siamrpn"} <= set(headline.figures)
    assert "qualitative_siamrpnpp" not in headline.figures  # trained for the ablations alone
    plain = profile.tracking.model_dump(mode="json") | {"benchmarks": ["otb100"], "siamrpn": None}
    for name in ("searched", "selection"):
        plain["siamfc"].pop(name)
    architecture = plain["siamfc"]["architectures"]["intelligent"]
    plain["siamfc"]["architectures"] |= {"dim": architecture, "dim_random": architecture}
    document = profile.model_dump(mode="json") | {"tracking": plain}
    small = from_profile(type(profile).model_validate_json(json.dumps(document)))
    absent = {"expected_overlap", "normalized_precision", "selection", "qualitative_siamrpn"}
    assert not absent & {*small.figures, *small.tables}


def test_examples_need_a_student_without_a_teacher(profile):
    document = profile.model_dump(mode="json")
    del document["tracking"]["siamrpn"]["runs"]["ground_truth"]
    figures = from_profile(type(profile).model_validate_json(json.dumps(document))).figures
    assert "qualitative_siamfc" in figures
    assert "qualitative_siamrpn" not in figures
    assert "training_siamrpn" in figures


def test_parameters_fit_one_argument_of_a_command_line(profile):
    for target in ("headline", "ablations"):
        assert len(from_profile(profile, target=target, with_config=True).model_dump_json()) < 2**17


def test_the_config_travels_only_on_request_and_survives_json(profile):
    assert from_profile(profile).config is None
    job = from_profile(profile, with_config=True)
    assert job.config is not None
    assert job.config["profile"] == "tiny"
    assert parse(PaperJob, job.model_dump(mode="json"), source="test") == job
