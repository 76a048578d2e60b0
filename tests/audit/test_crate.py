"""The crate: checked entity by entity against the profile, and by the profile's validator where it is installed."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from audit.conftest import CODE, TABLE, Tiny, sha
from distillery.audit import crate, manifest
from distillery.errors import UserError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("rocrate") is None, reason="rocrate is not installed")


@pytest.fixture
def project(tiny: Tiny) -> Tiny:
    """A project with what a crate describes beside the run."""
    tiny.write("Snakefile", "rule all:\n")
    tiny.write("README.md", "# A project\n")
    tiny.write("LICENSE", "MIT License\n")
    return tiny


def loaded(tiny: Tiny) -> manifest.Manifest:
    return manifest.load(tiny.root, Path("results/tiny/manifest.json"))


def graph_of(tiny: Tiny) -> dict[str, dict[str, Any]]:
    entities = crate.describe(tiny.root, loaded(tiny))["@graph"]
    assert not [name for name, count in Counter(one["@id"] for one in entities).items() if count > 1]
    return {one["@id"]: one for one in entities}


def ids(value: Any) -> list[str]:
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def of_type(graph: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [
        one for one in graph.values() if kind in (one["@type"] if isinstance(one["@type"], list) else [one["@type"]])
    ]


def test_every_reference_leads_somewhere(project: Tiny) -> None:
    graph = graph_of(project)
    outside = ("https://", "http://", "mailto:")
    for entity in graph.values():
        for value in entity.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict) and "@id" in one and not one["@id"].startswith(outside):
                    assert one["@id"] in graph, (entity["@id"], one)


def test_root_conforms_to_the_four_profiles(project: Tiny) -> None:
    graph = graph_of(project)
    root = graph["./"]
    assert [name for name in ids(root["conformsTo"]) if "provenance" in name] == [
        "https://w3id.org/ro/wfrun/provenance/0.5"
    ]
    assert len(ids(root["conformsTo"])) == 4
    assert all(graph[name]["@type"] == "CreativeWork" and graph[name]["version"] for name in ids(root["conformsTo"]))
    assert root["name"] and root["description"] and root["license"] and root["datePublished"]
    assert ids(root["mainEntity"]) == ["Snakefile"]


def test_steps_tools_and_actions_are_tied_as_the_profile_says(project: Tiny) -> None:
    """`MUST` sentences of the profile, one an assertion."""
    graph = graph_of(project)
    workflow, jobs = graph["Snakefile"], loaded(project).jobs
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"}
    tools, steps = set(ids(workflow["hasPart"])), set(ids(workflow["step"]))
    assert steps == {one["@id"] for one in of_type(graph, "HowToStep")}
    assert {graph[name]["name"] for name in steps} == {job["rule"] for job in jobs.values()}
    assert all(ids(graph[name]["workExample"])[0] in tools for name in steps)
    actions = {one["@id"]: one for one in of_type(graph, "CreateAction") if one["@id"] != "#run"}
    assert {one["name"] for one in actions.values()} == set(jobs)
    assert {ids(one["instrument"])[0] for one in actions.values()} == tools
    controls = of_type(graph, "ControlAction")
    assert sorted(ids(one["object"])[0] for one in controls) == sorted(actions)
    for control in controls:
        step, action = graph[ids(control["instrument"])[0]], graph[ids(control["object"])[0]]
        assert step["@type"] == "HowToStep" and step["workExample"] == action["instrument"]
    (organise,) = of_type(graph, "OrganizeAction")
    assert graph[ids(organise["instrument"])[0]]["name"] == "Snakemake"
    assert sorted(ids(organise["object"])) == sorted(one["@id"] for one in controls)
    assert ids(organise["result"]) == ["#run"] and ids(graph["#run"]["instrument"]) == ["Snakefile"]
    assert ids(graph["#run"]["result"]) == ["results/tiny/report.html", TABLE]


def test_steps_stand_in_an_order_in_which_they_can_run(project: Tiny) -> None:
    graph = graph_of(project)
    place = {one["name"]: int(one["position"]) for one in of_type(graph, "HowToStep")}
    order = ["dataset", "train_siamfc_tskd", "track_benchmarks", "score_tracking_headline", "tables_headline"]
    assert sorted(order, key=place.__getitem__) == order


def test_files_have_their_hashes_and_sizes(project: Tiny) -> None:
    graph = graph_of(project)
    for name in (TABLE, CODE, "README.md", "data/tiny/otb100.json"):
        assert graph[name]["sha256"] == sha(project.path(name))
    assert graph[TABLE]["contentSize"] == str(project.path(TABLE).stat().st_size)
    assert graph["data/tiny/otb100/"]["@type"] == "Dataset"


def test_actions_say_what_they_read_made_and_took(project: Tiny) -> None:
    graph = graph_of(project)
    (score,) = [one for one in of_type(graph, "CreateAction") if one["name"].startswith("score_")]
    assert "data/tiny/otb100.json" in ids(score["object"])
    assert all("/metrics/" in name for name in ids(score["result"]))
    # Snakemake's record says 100.0 and 107.5 seconds after the epoch.
    assert score["startTime"] == "1970-01-01T00:01:40+00:00" and score["endTime"] == "1970-01-01T00:01:47+00:00"
    usage = [graph[name] for name in ids(score["resourceUsage"])]
    assert [(one["propertyID"], one["value"], one["unitCode"]) for one in usage] == [("#seconds", "7.5", "SEC")]


def test_equal_runs_give_equal_bytes(project: Tiny) -> None:
    first = crate.write(project.root, loaded(project)).read_bytes()
    assert crate.write(project.root, loaded(project)).read_bytes() == first


def test_report_of_snakemake_is_linked(project: Tiny) -> None:
    project.write("report.zip", "PK")
    entities = crate.describe(project.root, loaded(project), report=Path("report.zip"))["@graph"]
    (report,) = [one for one in entities if one["@id"] == "report.zip"]
    assert report["description"] == "Snakemake's own report of the run"


def test_anothers_crate_is_not_overwritten(project: Tiny) -> None:
    theirs = json.dumps({"@graph": [{"@id": "./"}]})
    project.path(crate.FILE).write_text(theirs)
    with pytest.raises(UserError, match="describes another crate"):
        crate.write(project.root, loaded(project))
    assert project.path(crate.FILE).read_text() == theirs


def test_a_lost_file_is_named(project: Tiny) -> None:
    project.path(TABLE).unlink()
    with pytest.raises(UserError, match="is gone"):
        crate.write(project.root, loaded(project))
    assert not project.path(crate.FILE).exists()


def test_profile_s_validator_passes(project: Tiny) -> None:
    services = pytest.importorskip("rocrate_validator.services")
    models = pytest.importorskip("rocrate_validator.models")
    crate.write(project.root, loaded(project))
    settings = services.ValidationSettings(
        rocrate_uri=str(project.root),
        profile_identifier="provenance-run-crate",
        requirement_severity=models.Severity.REQUIRED,
        skip_availability_check=True,
    )
    try:
        result = services.validate(settings)
    except OSError as error:  # it loads the contexts from the network
        pytest.skip(f"the validator cannot load its contexts: {error}")
    assert not result.has_issues(), [issue.message for issue in result.get_issues()]
