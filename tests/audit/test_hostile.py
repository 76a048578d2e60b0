"""Files made to harm: they must not run anything, leave their folder or fill the memory.

Where else this is tested: pickled and truncated checkpoints in tests/engine/test_checkpoint.py, predictions in
tests/person_search/test_predictions.py, `.mat` bombs in tests/person_search/benchmarks/test_matlab.py, archives of
ground truth in tests/tracking/benchmarks/test_archives.py, sizes of images in tests/data, YAML of claims in
tests/config/test_claims.py, text in reports in tests/paper/test_report.py.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from audit.conftest import TABLE, Tiny, metrics, predictions, tracker
from distillery.audit import manifest
from distillery.audit.replay import words_of
from distillery.audit.retrain import retrain
from distillery.cli import main
from distillery.config.tolerances import load_tolerances
from distillery.data.images import read_image
from distillery.errors import UserError
from distillery.files import read_json

MB = 1 << 20


class Harm:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return os.system, (f"touch {self.marker}",)  # type: ignore[return-value]


def test_a_pickled_checkpoint_is_found_and_not_opened(tiny: Tiny, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    tiny.path(f"{tracker(0)}.safetensors").write_bytes(pickle.dumps(Harm(marker)))
    found = tiny.findings(again=False)
    assert found[0].file == f"{tracker(0)}.safetensors" and "changed after the run" in found[0].problem
    index = tiny.path("out")
    words = ["track", "--checkpoint", str(tiny.path(f"{tracker(0)}.safetensors")), "--benchmark", "otb100"]
    assert main([*words, "--root", str(tiny.path("data/tiny/otb100")), "--results", str(index)]) == 1
    assert not marker.exists() and not index.exists()


def test_pickled_predictions_are_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker, file = tmp_path / "ran", tmp_path / "seed0.npz"
    content = io.BytesIO()
    np.save(content, np.array([Harm(marker)], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("names.npy", content.getvalue())
    assert main(["score", "--benchmark", "cuhk_sysu", "--root", str(tmp_path), "--results", str(file)]) == 1
    assert not marker.exists() and "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {marker}']",
        "measured: !!python/name:os.system\nvalues: {{}}",
        "measured: &a [x]\nvalues: {{auc: !evil 1}}",
    ],
)
def test_tags_of_yaml_run_nothing(tmp_path: Path, text: str) -> None:
    marker, file = tmp_path / "ran", tmp_path / "tolerances.yaml"
    file.write_text(text.format(marker=marker))
    with pytest.raises(UserError):
        load_tolerances(file)
    assert main(["config", "check", str(file)]) == 1
    assert not marker.exists()


def test_yaml_that_doubles_itself_is_refused_in_little_memory(tmp_path: Path) -> None:
    """Nine levels of nine aliases: a thousand million strings, if they were copied."""
    file = tmp_path / "tolerances.yaml"
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    file.write_text("\n".join(["a0: &a0 lol", *levels]))
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            load_tolerances(file)
        assert tracemalloc.get_traced_memory()[1] < 64 * MB
    finally:
        tracemalloc.stop()


def test_json_nested_without_end_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "results/tiny").mkdir(parents=True)
    file = tmp_path / "results/tiny/manifest.json"
    file.write_text("[" * 100_000)
    with pytest.raises(UserError, match="is not valid JSON"):
        read_json(file)
    assert main(["audit", "--profile", "tiny", "--root", str(tmp_path)]) == 1


@pytest.mark.parametrize("head", [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_a_sparse_image_of_ten_gigabytes_does_not_fill_the_memory(tmp_path: Path, head: bytes) -> None:
    file = tmp_path / "0001.jpg"
    with file.open("wb") as stream:
        stream.write(head)
        stream.truncate(10 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            read_image(file)
        assert tracemalloc.get_traced_memory()[1] < 256 * MB
    finally:
        tracemalloc.stop()


# What the manifest says is repeated by an audit, so it is made to harm, too.


def forge(tiny: Tiny, rule: str, old: str, new: str) -> None:
    """Replaces text in the command and the outputs of a rule's jobs."""
    content = tiny.read("results/tiny/manifest.json")
    for job in content["jobs"].values():
        if job["rule"].startswith(rule):
            job["command"] = job["command"].replace(old, new)
            job["outputs"] = [name.replace(old, new) for name in job["outputs"]]
    tiny.write("results/tiny/manifest.json", content)


@pytest.mark.parametrize(
    "harm", ["touch {marker}", "python -m distillery score-all $(touch {marker})", "; touch {marker}"]
)
def test_commands_of_a_manifest_reach_no_shell(tiny: Tiny, tmp_path: Path, harm: str) -> None:
    marker = tmp_path / "ran"
    content = tiny.read("results/tiny/manifest.json")
    for job in content["jobs"].values():
        job["command"] = (
            f"{job['command']} {harm.format(marker=marker)}" if harm[0] == ";" else harm.format(marker=marker)
        )
    tiny.write("results/tiny/manifest.json", content)
    assert tiny.findings()
    assert not marker.exists()


@pytest.mark.parametrize("place", ["../{name}", "{tmp}/{name}"])
def test_outputs_that_lead_out_of_the_project_are_not_written(tiny: Tiny, tmp_path: Path, place: str) -> None:
    evil = place.format(name="evil/baseline/static/seed0.json", tmp=tmp_path)
    forge(tiny, "score", metrics(0), evil)
    assert any("leads out of the project" in str(one) for one in tiny.findings())
    assert not list(tmp_path.rglob("evil*"))
    forge(tiny, "train", tracker(0), place.format(name="evil", tmp=tmp_path))
    loaded = manifest.load(tiny.root, Path("results/tiny/manifest.json"))
    with pytest.raises(UserError):
        retrain(tiny.root, loaded, "siamfc/dim-tskd/seed0", tmp_path / "again")
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    "option", ["--pairs {there}={evil}", "--pair {there}={evil}", "--pai={there}={evil}", "--debug"]
)
def test_more_outputs_than_the_manifest_names_are_not_written(tiny: Tiny, option: str) -> None:
    evil = "results/tiny/metrics/otb100/siamfc/other/seed0.json"
    there = tiny.path("copied/seed0")
    shutil.copytree(tiny.path(predictions(0)), there)
    shutil.copy(tiny.path(f"{predictions(0)}.json"), there.with_suffix(".json"))
    forge(tiny, "score", " 2>&1", f" {option.format(there='copied/seed0', evil=evil)} 2>&1")
    assert tiny.findings()
    assert not tiny.path(evil).exists()


def test_a_number_whose_command_is_taken_away_is_not_believed(tiny: Tiny) -> None:
    """Who forges metrics and table, all hashes of the manifest and the records with them, still cannot forge this."""
    forged = tiny.read(metrics(0))
    forged["numbers"]["auc"] = 0.99
    tiny.write(metrics(0), forged)
    tiny.path(TABLE).write_text('model,variant,label,otb100.auc\nsiamfc,dim-tskd,"SiamFC dim, TSKD",0.99\n')
    tiny.edit_manifest(metrics(0), TABLE)
    shutil.rmtree(tiny.path(".snakemake"))
    assert metrics(0) in {one.file for one in tiny.findings()}
    content = tiny.read("results/tiny/manifest.json")
    for job in content["jobs"].values():
        job["command"] = "true"
    tiny.write("results/tiny/manifest.json", content)
    found = [one for one in tiny.findings() if one.file == metrics(0)]
    assert [one.problem for one in found] == ["was made by no command that an audit can repeat"]
    assert found[0].cells == ("table tracking: SiamFC dim, TSKD, otb100.auc",)


def test_only_words_of_known_commands_are_taken() -> None:
    assert words_of("python -m distillery tables --params {}", ("tables",)) == ["tables", "--params", "{}"]
    for command in (
        "rm -rf /",
        "python -m other tables",
        "python -m distillery tables --out x",
        "python -m distillery 'a",
    ):
        assert words_of(command, ("tables",)) is None
    assert words_of("python -m distillery publish --profile x", ("tables",)) is None


def test_files_that_a_manifest_names_outside_are_not_read(tiny: Tiny, tmp_path: Path) -> None:
    """Its hash would tell whether a guess of a file's content is right."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    content = tiny.read("results/tiny/manifest.json")
    for name in (str(secret), "../secret"):
        content["artefacts"][name] = {
            "sha256": "0" * 64,
            "bytes": 1,
            "kind": "other",
            "job": next(iter(content["jobs"])),
        }
    tiny.write("results/tiny/manifest.json", content)
    found = {one.file: one for one in tiny.findings(again=False) if one.problem == "is gone"}
    assert set(found) == {str(secret), "../secret"}
    assert all(one.found is None for one in found.values())


def test_a_crate_of_json_bombs_is_left_alone(tmp_path: Path) -> None:
    from distillery.audit import crate

    (tmp_path / crate.FILE).write_text(json.dumps({"@graph": [[[]]]}))
    made = manifest.Manifest("results/t/manifest.json", {"jobs": {}, "artefacts": {}})
    with pytest.raises(UserError, match="describes another crate"):
        crate.write(tmp_path, made)
