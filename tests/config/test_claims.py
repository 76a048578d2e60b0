"""The declared claims: whole, traceable to what is published, and about networks that the profiles train."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from distillery.config.claims import Gain, Ledger, Par, Ratio, load
from distillery.config.claims_job import SHARED, claims
from distillery.config.paper_job import MARGIN
from distillery.config.profile import Profile
from distillery.config.profile import load as load_profile
from distillery.errors import UserError
from distillery.paper.published import PUBLISHED, published_sum

ROOT = Path(__file__).resolve().parents[2]
LEDGER = load(SHARED)
BY_ID = {claim.id: claim for claim in LEDGER.claims}


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    return {name: load_profile(ROOT / "config" / f"{name}.yaml") for name in ("smoke", "mini", "paper")}


def test_the_claims_that_the_papers_are_known_for_are_there() -> None:
    assert SHARED == ROOT / "config" / "claims.yaml"
    assert set(BY_ID) >= {
        "compression", "speed", "accuracy_siamfc", "accuracy_siamrpn", "sharing", "loss_soft", "loss_hard",
        "loss_response", "generality", "table_beats_detector", "table_detects", "narrows_gap", "small_on_par",
        "gain_oim_large", "gain_oim_small", "gain_qeeps",
    }  # fmt: skip
    assert set(LEDGER.scales) == {"smoke", "mini", "paper"}


def test_claimed_sizes_are_the_published_ones() -> None:
    best = next(entry.values for entry in PUBLISHED if entry.name == "distilled trackers, at best")
    assert (BY_ID["compression"].test.reaches, BY_ID["speed"].test.reaches) == (best["ratio"], best["speedup"])
    for name in ("gain_oim_large", "gain_oim_small"):
        (pair,) = BY_ID[name].contrasts
        number, mark, _ = published_sum("cuhk_sysu", "map", pair.plus, pair.minus)
        assert BY_ID[name].test.reaches == pytest.approx(number)
        assert mark == BY_ID[name].published[0].mark == "found"
    entry = next(entry for entry in PUBLISHED if entry.name.startswith("the paper's best entry"))
    qeeps = next(
        entry for entry in PUBLISHED if entry.variant == "qeeps/large/plain" and entry.benchmark == "cuhk_sysu"
    )
    assert BY_ID["gain_qeeps"].test.reaches == pytest.approx(entry.values["map"] - qeeps.values["map"])


def test_quoted_numbers_of_person_search_stand_among_the_published_values() -> None:
    values = [100 * value for entry in PUBLISHED if entry.benchmark == "cuhk_sysu" for value in entry.values.values()]
    known = {f"{value:.1f}" for value in values} | {f"{a - b:.1f}" for a, b in itertools.permutations(values, 2)}
    for claim in LEDGER.claims:
        if claim.paper == "person_search":
            quoted = {number for one in claim.published for number in re.findall(r"\d+\.\d", one.says)}
            assert quoted <= known, claim.id


def test_what_is_recalled_is_never_called_found() -> None:
    for claim in LEDGER.claims:
        for one in claim.published:
            assert ("recalled" in one.source) == (one.mark == "unverified"), claim.id
        assert claim.published or claim.statement.startswith("Control:")


def test_tolerances_are_conventions_of_the_project_or_of_rounding() -> None:
    for claim in LEDGER.claims:
        if isinstance(claim.test, Par):
            assert claim.test.margin == MARGIN
            assert claim.paper == "person_search" or claim.measure == "auc"  # no other margin was declared
        if isinstance(claim.test, Ratio):
            assert claim.test.tolerance == 0.5  # "18" and "3" are whole numbers
        if isinstance(claim.test, Gain) and claim.test.reaches:
            assert claim.test.tolerance < claim.test.reaches


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_every_network_of_a_claim_is_trained(name: str, profiles: dict[str, Profile]) -> None:
    for target in ("headline", "ablations"):
        for claim in claims(profiles[name], target)["claims"]:
            assert "trains no" not in claim["because"], claim["id"]
            assert not claim["lacking"], claim["id"]


def test_the_headline_lists_all_and_sends_the_rest_to_the_ablations(profiles: dict[str, Profile]) -> None:
    headline = {one["id"]: one for one in claims(profiles["mini"], "headline")["claims"]}
    ablations = {one["id"]: one for one in claims(profiles["mini"], "ablations")["claims"]}
    assert list(headline) == list(BY_ID)
    sent = {name for name, one in headline.items() if one["command"]}
    assert sent == set(ablations) >= {"loss_soft", "loss_hard", "loss_response", "generality_deep"}
    assert {headline[name]["command"] for name in sent} == {"snakemake --cores 2 ablations"}
    assert all(one["extent"] == "everything" and one["contrasts"] for one in ablations.values())
    (command,) = {one["command"] for one in claims(profiles["paper"], "headline")["claims"]} - {None}
    assert command == "snakemake --cores 2 ablations --configfile config/paper.yaml"


def test_a_scale_tests_what_it_can(profiles: dict[str, Profile]) -> None:
    def extents(profile: Profile) -> dict[str, str]:
        return {one["id"]: one["extent"] for one in claims(profile, "headline")["claims"]}

    assert set(extents(profiles["smoke"]).values()) == {"nothing"}
    mini, paper = extents(profiles["mini"]), extents(profiles["paper"])
    for name in ("speed", "gain_oim_large", "gain_oim_small", "gain_qeeps"):
        assert (mini[name], paper[name]) == ("direction", "everything")
    assert (mini["near_teacher"], paper["near_teacher"]) == ("nothing", "everything")
    assert mini["frames_a_second"] == paper["frames_a_second"] == "nothing"
    own = profiles["mini"].model_copy(update={"profile": "mine"})
    assert extents(own) == mini  # by its data


def test_networks_get_the_profiles_own_names(profiles: dict[str, Profile]) -> None:
    job = claims(profiles["mini"], "headline")
    table = next(one for one in job["claims"] if one["id"] == "table_search")
    assert table["contrasts"][0] == {
        "plus": ["oim/large-oim_table"], "minus": ["oim/large-oim"], "provided": None,
    }  # fmt: skip
    assert table["benchmarks"] == ["cuhk_sysu", "prw_mini"]
    assert job["published"]["oim/large-oim_table"] == "oim/large/table"
    assert job["labels"]["baseline/ncc"] == "NCC"
    assert job["baselines"] == {
        "tracking": ["baseline/static", "baseline/ncc"], "person_search": ["baseline/histogram"],
    }  # fmt: skip


def edited(change: Any) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(SHARED.read_text(encoding="utf-8"))
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["rules"].update(confidnce=0.9), "did you mean `confidence`"),
        (lambda d: d["rules"].update(confidence=95), "rules.confidence"),
        (lambda d: d["claims"][0]["published"][0].update(mark="proven"), "claims.0.published.0.mark"),
        (lambda d: d["claims"][0]["contrasts"][0].update(plus=["../x"]), "claims.0.contrasts.0.plus.0"),
        (lambda d: d["claims"][1].update(id="accuracy_siamfc"), "two claims are called 'accuracy_siamfc'"),
        (lambda d: d["claims"][0]["contrasts"][0].update(provided="speed"), "no claim before it"),
        (lambda d: d["claims"][0]["contrasts"][0].update(plus=["a/b", "c/d"]), "another number of networks"),
        (lambda d: d["claims"][0].update(contrasts=[]), "needs contrasts exactly if it has a test"),
        (lambda d: d["claims"][0].update(at={"huge": {"tests": "nothing", "because": "x"}}), "unknown profile 'huge'"),
    ],
)
def test_faults_are_one_sentence(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(edited(change)))
    with pytest.raises(UserError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "!!python/object/apply:os.system ['true']", "\x00", ""])
def test_hostile_yaml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(UserError):
        load(path)
    with pytest.raises(UserError, match="does not exist"):
        load(tmp_path / "none.yaml")


def test_the_page_explains_every_rule_of_the_file() -> None:
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert isinstance(LEDGER, Ledger)
    for name in ("confidence", "resamples", "seeds", "ceiling"):
        assert f"`{name}`" in page
    for verdict in ("shown", "shown in direction", "not shown", "contradicted", "not tested at this scale"):
        assert f"**{verdict}**" in page
