"""The config of pairs: without sources nothing changes, with them they belong together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from distillery.config import jobs
from distillery.config.base import parse
from distillery.config.pairs import Pairs, Shards, Source
from distillery.config.profile import Profile, load
from distillery.config.shards import shard_job
from distillery.config.tracking import parse_training
from distillery.errors import UserError

CONFIG = Path(__file__).resolve().parents[2] / "config"
SOURCES = [{"name": "vid", "use": 1000}, {"name": "coco", "max_gap": 1}]


def raw(change: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIG / "smoke.yaml").read_text())
    content["data"] |= {name: {"source": "local", "root": f"datasets/{name}"} for name in ("vid", "coco")}
    for family in ("siamrpn", "siamrpnpp"):
        if family in content["tracking"]:
            content["tracking"][family]["pairs"] |= {"sources": SOURCES, "shards": {"side": 511}}
            content["tracking"][family]["stored_crops"] = False
    if change:
        change(content)
    return content


@pytest.mark.parametrize("profile", ["smoke", "mini"])
def test_profiles_without_sources_resolve_to_the_same_parameters_as_before(profile: str) -> None:
    loaded = load(CONFIG / f"{profile}.yaml")
    for name, family in loaded.tracking.families.items():
        assert jobs.shards(loaded, name) is None
        for run in family.runs:
            text = json.dumps(jobs.tracker_training(loaded, name, run, 0))
            assert "sources" not in text
            assert "shards" not in text


def test_they_pass_through_the_parameters_of_a_job() -> None:
    profile = parse(Profile, raw(), source="test")
    run = next(iter(profile.tracking.families["siamrpn"].runs))
    job = parse_training(json.dumps(jobs.tracker_training(profile, "siamrpn", run, 0)))
    assert job.pairs.sources == (Source(name="vid", use=1000), Source(name="coco", max_gap=1))
    assert job.pairs.shards == Shards(side=511)
    asked = jobs.shards(profile, "siamrpn")
    assert asked is not None
    assert [source["name"] for source in asked["sources"]] == ["vid", "coco"]
    assert asked["outer"] == 511
    assert jobs.shards(profile, "siamfc") is None


def test_the_search_for_students_stays_with_got10k() -> None:
    def change(content: dict[str, Any]) -> None:
        content["tracking"]["siamfc"]["pairs"]["sources"] = SOURCES
        content["tracking"]["siamfc"]["stored_crops"] = False

    profile = parse(Profile, raw(change), source="test")
    assert jobs.shards(profile, "siamfc") is not None
    assert "sources" not in json.dumps(jobs.selection(profile, "siamfc", "policy", "teacher"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c["data"].pop("coco"), "sources names 'coco', but data.coco is not there"),
        (lambda c: c["tracking"]["siamrpn"].update(stored_crops=True), "stored_crops are those of GOT-10k's clips"),
        (lambda c: c["tracking"]["siamrpn"]["pairs"].update(sources=SOURCES[:1] * 2), "sources names 'vid' twice"),
        (lambda c: c["tracking"]["siamrpn"]["pairs"].update(sources=[{"name": "lasot"}]), "'got10k', 'vid'"),
        (lambda c: c["tracking"]["siamrpn"]["pairs"]["shards"].update(on_corrupt="ignore"), "'skip' or 'fail'"),
    ],
)
def test_what_does_not_belong_together(change: Any, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        parse(Profile, raw(change), source="test")


def test_a_side_that_is_too_small_grows_to_what_pairs_can_show() -> None:
    pairs = Pairs(epoch=1, shift=64, stretch=0.18, sources=(Source(name="vid"),), shards=Shards(side=300))
    assert shard_job(pairs, 127, 255, 0.5).outer == 441
