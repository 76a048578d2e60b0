"""The typed config: what it refuses, in which words, and that schema and documentation follow from it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from distillery.config import document, jobs, profile
from distillery.config.base import parse
from distillery.config.distillation import Sharing
from distillery.config.tracking import SiamFCTraining, parse_training
from distillery.errors import UserError

CONFIG = Path(__file__).resolve().parents[2] / "config"
PROFILES = ["smoke", "mini", "paper"]


@pytest.fixture
def smoke() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIG / "smoke.yaml").read_text())
    return copy.deepcopy(content)  # YAML anchors share their objects


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(config))
    *parents, last = path.split(".")
    inner = config
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return config


@pytest.mark.parametrize("name", PROFILES)
def test_shipped_profiles_are_valid_and_named_as_their_files(name: str) -> None:
    assert profile.load(CONFIG / f"{name}.yaml").profile == name


@pytest.mark.parametrize("name", PROFILES)
def test_shipped_profiles_pass_the_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(profile.schema())
    jsonschema.validate(yaml.safe_load((CONFIG / f"{name}.yaml").read_text()), profile.schema())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seedz", [0]),
        ("compute.thread", 1),
        ("tracking.siamfc.runs.teacher.optimisation.stepps", 1),
        ("data.otb100.frame", 3),
        ("seeds", "0"),
        ("compute.threads", 1.5),
        ("person_search.identification.batch_norm", "yes"),
        ("tracking.siamfc.runs.teacher.optimisation.optimiser", "adam"),
        ("data.got10k.source", "elsewhere"),
    ],
)
def test_the_schema_refuses_what_the_types_refuse(smoke: dict[str, Any], path: str, value: Any) -> None:
    config = changed(smoke, path, value)
    with pytest.raises(UserError):
        parse(profile.Profile, config, source="here")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, profile.schema())


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("seedz", "seeds"),
        ("compute.thread", "threads"),
        ("data.otb100.frame", "frames"),
        ("data.cuhk_sysu.train_image", "train_images"),
        ("tracking.siamfc.pair", "pairs"),
        ("tracking.siamfc.runs.tsskd.distillation.omga", "omega"),
        ("tracking.siamfc.runs.tsskd.distillation.sharing.tresh", "threshold"),
        # A run may bear the name of a field.
        ("tracking.siamfc.runs.teacher.optimisation.stepps", "steps"),
        ("tracking.siamfc.architectures.teacher.with", "width"),
        ("person_search.networks.large.depth", "depths"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_valid_one(smoke: dict[str, Any], path: str, nearest: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(profile.Profile, changed(smoke, path, 1), source="my.yaml")
    said = str(caught.value)
    assert "unknown key" in said
    assert f"did you mean `{nearest}`" in said
    assert said.startswith("my.yaml, ")
    assert path.rsplit(".", 1)[-1] in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("seeds", [0, 2], "counted, never chosen"),
        ("seeds", [], "at least 1 item"),
        ("compute.threads", 0, "greater than or equal to 1"),
        ("compute.threads", "two", "valid integer"),
        ("compute.device", "tpu", "'cuda'"),
        ("profile", "My Profile", "pattern"),
        ("tracking.siamfc.runs.tsskd.teacher", "nobody", "needs a teacher run"),
        ("tracking.siamfc.runs.tsskd.teacher", None, "go together"),
        ("tracking.siamfc.runs.ground_truth.networks", ["dime"], "unknown architecture 'dime'"),
        ("tracking.siamfc.runs.tsskd.networks", ["dim"], "at least two networks"),
        ("tracking.siamfc.runs.tsskd.distillation.template", 2, "must be odd"),
        ("tracking.siamfc.runs.tsskd.teacher_seed", 1, "of the teacher of the run's own seed"),
        ("tracking.siamfc.runs.tsskd.distillation.layers", [4], "share a recording of 'teacher'"),
        ("tracking.siamfc.runs.teacher.control", "softmax", "'label_map'"),
        ("tracking.siamfc.runs.tskd.control", "label_map", "a control has no teacher"),
        ("tracking.siamfc.searched.teacher", "policy", "searched as well"),
        ("tracking.siamfc.selection", None, "need a selection"),
        ("tracking.siamfc.geometry.search", 128, "stride"),
        ("tracking.siamrpn.geometry.stride", 8, "stride"),
        (
            "tracking.siamfc.architectures.teacher.layout",
            "published",
            "my.yaml, tracking.siamfc.architectures.teacher: cannot see the crops of `geometry`: exemplar must be 87",
        ),
        ("tracking.benchmarks", ["otb100", "got10k", "vot2018"], "data.vot2018 is not there"),
        ("person_search.runs.oim.students.oim_table.table", "other", "unknown table 'other'"),
        ("person_search.runs.small.networks", ["tiny"], "unknown network 'tiny'"),
        ("person_search.runs.small.students.oim.detector", {"levels": []}, "at least 1 item"),
        ("person_search.runs.qeeps.students.qeeps.start", "other", "starts from the unknown student 'other'"),
        ("person_search.runs.detector.students.detector.table", "reid", "has no table and no teacher"),
        ("person_search.runs.small.networks", ["large"], "both train 'oim/large-oim'"),
        ("person_search.detection_teacher", "small-oim", "needs detection_teacher"),
        ("person_search.tables.reid.teacher", "detector/large-detector", "unknown teacher 'detector/large-detector'"),
        ("person_search.networks.large.stem_blocks", 9, "exceeds"),
        ("person_search.pretraining.networks", ["tiny"], "pretraining names the unknown network 'tiny'"),
        ("person_search.pretraining.networks", [], "at least 1 item"),
        ("person_search.networks.small.pretrained", "small.safetensors", "has a pretraining, and other weights"),
        ("person_search.pretraining.data.seed", 10263, "is that of data.cuhk_sysu"),
        ("person_search.runs.oim.optimisation.learning_rate", float("inf"), "number"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(smoke: dict[str, Any], path: str, value: Any, words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(profile.Profile, changed(smoke, path, value), source="my.yaml")
    said = str(caught.value)
    assert words in said
    assert "my.yaml" in said
    assert "\n" not in said


def test_a_missing_key_is_named(smoke: dict[str, Any]) -> None:
    del smoke["tracking"]["siamfc"]["pairs"]
    with pytest.raises(UserError, match=r"tracking\.siamfc\.pairs: a required key is missing"):
        parse(profile.Profile, smoke, source="my.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"profile: [", "is not valid YAML"),
        (b"profile: a\nprofile: b\n", "repeats 'profile'"),
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"", "my.yaml"),
        (b"- 1\n", "my.yaml"),
        (b"profile: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
        (b"profile: 2026-01-01\n", "my.yaml"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "my.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"my\.yaml") as caught:
        profile.load(tmp_path / "my.yaml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: does not exist"):
        profile.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("family", ["siamfc", "siamrpn"])
def test_parameters_of_a_job_survive_the_command_line(family: str) -> None:
    mini = profile.load(CONFIG / "mini.yaml")
    plain = jobs.tracker_training(mini, family, "tsskd", 2)
    parsed = parse_training(json.dumps(plain))
    assert parsed.model_dump(mode="json") == plain
    assert parsed.distillation is not None
    assert isinstance(parsed.distillation.sharing, Sharing)
    assert isinstance(parsed, SiamFCTraining) == (family == "siamfc")
    with pytest.raises(UserError, match="--params"):
        parse_training("{")
    with pytest.raises(UserError, match=r"--params, family: is 'atom', not one of siamfc"):
        parse_training(json.dumps(plain | {"family": "atom"}))


def test_a_recording_knows_nothing_of_the_runs_but_what_they_share() -> None:
    mini = profile.load(CONFIG / "mini.yaml")
    recording = jobs.teacher_recording(mini, "siamfc", "teacher", 1)
    run = jobs.tracker_training(mini, "siamfc", "tsskd", 1)
    assert recording["architectures"] == {}
    assert recording["distillation"]["sharing"] is None
    for section, key in (("optimisation", "steps"), ("optimisation", "batch"), ("distillation", "layers")):
        assert recording[section][key] == run[section][key]


def test_a_job_gets_its_own_parameters_and_nothing_of_the_others() -> None:
    mini = profile.load(CONFIG / "mini.yaml")
    ground_truth = jobs.tracker_training(mini, "siamfc", "ground_truth", 0)
    assert list(ground_truth["architectures"]) == ["intelligent"]
    assert ground_truth["networks"] == ["dim", "intelligent"], "the search says what dim looks like"
    assert ground_truth["distillation"] is None
    search = jobs.search_training(mini, "oim", "large", 0)
    assert not {"reid_teacher", "networks", "tables", "runs"} & set(search)
    students = search["students"]
    assert list(students) == ["large-oim", "large-oim_detector", "large-oim_table", "large-oim_both"]
    # The table is a file of the job, no parameter.
    assert students["large-oim"] == students["large-oim_table"]
    assert students["large-oim_detector"] == students["large-oim_both"] != students["large-oim"]
    (detector,) = jobs.search_training(mini, "detector", "large", 0)["students"].values()
    assert detector["identification"] is None


def test_the_job_that_pretrains_a_backbone_starts_from_nothing() -> None:
    smoke = profile.load(CONFIG / "smoke.yaml")
    search = smoke.person_search
    assert search.pretraining is not None
    job = jobs.pretraining(smoke, "small")
    (student,) = job["students"].values()
    given = search.networks["small"].model_dump(mode="json")
    assert student["shape"] == given | {"norm": "batch"} and given["pretrained"] is None
    assert job["method"] == "oim"
    assert job["optimisation"] == search.pretraining.optimisation.model_dump(mode="json")
    assert list(job["students"]) == ["small"], "the name under which the rule writes it"
    assert jobs.pretraining_data(smoke) == search.pretraining.data.model_dump(mode="json")
    # What starts from it names it, in the folder of the profile.
    for name in ("smoke", "other"):
        copied = smoke.model_copy(update={"profile": name})
        (started, *_) = jobs.search_training(copied, "small", "small", 0)["students"].values()
        file = f"checkpoints/{name}/person_search/pretraining/small.safetensors"
        assert started["shape"] == given | {"pretrained": file}
    (other, *_) = jobs.search_training(smoke, "oim", "large", 0)["students"].values()
    assert other["shape"]["pretrained"] is None
    without = smoke.model_copy(update={"person_search": search.model_copy(update={"pretraining": None})})
    with pytest.raises(KeyError, match="pre-trains no backbone"):
        jobs.pretraining(without, "small")


def test_how_many_queries_are_searched_for_is_no_parameter_of_a_training() -> None:
    smoke = profile.load(CONFIG / "smoke.yaml")
    query = smoke.person_search.query
    assert query.queries is not None
    other = query.model_copy(update={"queries": query.queries + 1, "gallery_size": 20})
    changed = smoke.model_copy(update={"person_search": smoke.person_search.model_copy(update={"query": other})})
    assert jobs.search_training(changed, "qeeps", "large", 0) == jobs.search_training(smoke, "qeeps", "large", 0)
    assert jobs.search(changed, "qeeps") != jobs.search(smoke, "qeeps")


def _sections(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    for section, _ in [(model, "")] + [
        pair for field in model.model_fields.values() for pair in document._inner(field.annotation)
    ]:
        if section not in seen:
            seen.add(section)
            yield section
            yield from _sections(section, seen)


def test_every_key_is_documented() -> None:
    sections = list(_sections(profile.Profile, set()))
    assert len(sections) > 20
    for section in sections:
        assert section.__doc__
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


def test_the_documentation_is_up_to_date() -> None:
    written = (CONFIG.parent / "docs" / "config.md").read_text(encoding="utf-8")
    assert written == document.markdown(), "run `python -m distillery.config.document docs/config.md`"
