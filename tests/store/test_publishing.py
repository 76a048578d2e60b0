"""Publishing with the real DVC, in small folders."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import threading
from pathlib import Path

import pytest
import yaml

from distillery.errors import UserError
from distillery.files import atomic_file, sha256_of
from distillery.store import dvc as calls
from distillery.store import history
from distillery.store.publishing import publish
from project import REPOSITORY
from small_workflow import commit, dvc, git


def test_publish_in_git_is_clean_and_recorded(inside_git: Path) -> None:
    project = inside_git
    record = publish("smoke", project / "results/smoke/store.json", root=project)
    assert record == json.loads((project / "results/smoke/store.json").read_text())
    assert record["profile"] == "smoke"
    assert record["stored"]["checkpoints"]["files"] == 1
    assert record["stored"]["checkpoints"]["bytes"] == len("weights")
    pointer = yaml.safe_load((project / "checkpoints.dvc").read_text())["outs"][0]
    assert pointer["md5"] == record["stored"]["checkpoints"]["md5"]
    # DVC names content by its MD5: the bytes are in the cache under the name computed here.
    digest = hashlib.md5(b"weights", usedforsecurity=False).hexdigest()
    assert (project / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_text() == "weights"
    assert record["files"]["checkpoints/smoke/seed0.safetensors"] == {
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "md5": digest,
        "bytes": 7,
        "rule": None,
        "params": None,
    }
    assert dvc(project, "status", "--json").strip() == "{}"
    assert git(project, "check-ignore", "data", "checkpoints", "results/smoke").split() == [
        "data",
        "checkpoints",
        "results/smoke",
    ]
    untracked = git(project, "status", "--porcelain", "--untracked-files=all")
    assert {"data.dvc", "checkpoints.dvc", "results/smoke.dvc"} <= set(untracked.split())
    assert ".dvc/cache" not in untracked
    assert (project / ".gitignore").read_text() == (REPOSITORY / ".gitignore").read_text()
    # A write-protected output could not be made again, and a changed one would be a reason to run its consumers.
    for output, content in {"checkpoints/smoke/seed0.safetensors": "weights", "data/smoke/otb100.json": "{}"}.items():
        assert (project / output).stat().st_mode & 0o200
        assert not (project / output).is_symlink()
        assert (project / output).read_text() == content


def test_the_record_names_rule_parameters_and_commit(inside_git: Path) -> None:
    project, made = inside_git, {"rule": "dataset", "params": ["seed=1"], "input_checksums": {}}
    commit(project, "first")
    (project / "data/smoke/otb100").mkdir()
    (project / "data/smoke/otb100/1.jpg").write_text("image")
    history.write(project, {"data/smoke/otb100.json": made, "data/other/otb100.json": made})
    (project / ".dvcignore").write_text((project / ".dvcignore").read_text() + "# edited\n")
    record = publish("smoke", project / "store.json", root=project)
    assert record["commit"] == git(project, "rev-parse", "HEAD").strip()
    assert record["changed"] == [".dvcignore"]
    for path in ("data/smoke/otb100.json", "data/smoke/otb100/1.jpg"):  # the manifest stands for the folder beside it
        assert record["files"][path]["rule"] == "dataset"
        assert record["files"][path]["params"] == sha256_of(["seed=1"])
    stored = history.unpack(project / "results/smoke/snakemake.json.xz", "smoke")
    assert stored == {"data/smoke/otb100.json": made}


def test_publish_works_without_git_and_follows_when_git_comes(bare: Path) -> None:
    assert publish("smoke", bare / "store.json", root=bare)["commit"] is None
    assert "up to date" in dvc(bare, "status")
    git(bare, "init", "-q")
    publish("smoke", bare / "store.json", root=bare)
    assert "no_scm" not in (bare / ".dvc/config.local").read_text()
    assert "up to date" in dvc(bare, "status")


def test_a_second_publish_takes_up_changes_and_leaves_other_profiles(
    inside_git: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = inside_git
    first = publish("smoke", project / "store.json", root=project)
    (project / "checkpoints/smoke/seed1.safetensors").write_text("more")
    # Another profile was restored nowhere here: only its own folder is named, so DVC keeps what it knows of `smoke`.
    shutil.move(project / "data/smoke", project / "away")
    (project / "data/mini").mkdir()
    (project / "data/mini/otb100.json").write_text("{ }")
    (project / "checkpoints/mini").mkdir()
    (project / "checkpoints/mini/x").write_text("x")
    mini = publish("mini", project / "mini.json", root=project)
    assert mini["stored"]["data"]["files"] == 1
    dvc(project, "checkout", "data.dvc")
    assert (project / "data/smoke/otb100.json").read_text() == "{}"
    second = publish("smoke", project / "store.json", root=project)
    assert second["stored"]["data"]["files"] == first["stored"]["data"]["files"] == 1
    assert second["stored"]["checkpoints"]["files"] == 2
    assert {path.split("/")[1] for path in second["files"]} == {"smoke"}
    assert "now names" not in capsys.readouterr().out


def test_a_clone_that_runs_before_it_restores_says_what_its_pointers_no_longer_name(
    inside_git: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish("smoke", inside_git / "store.json", root=inside_git)
    shutil.rmtree(inside_git / ".dvc/cache")
    (inside_git / "data/smoke/more").write_text("more")
    publish("smoke", inside_git / "store.json", root=inside_git)
    said = capsys.readouterr().out
    assert "data.dvc now names what lies here alone" in said
    assert "checkpoints.dvc" not in said, "it names the same as before"


def test_states_and_temporary_files_are_not_stored(inside_git: Path) -> None:
    clean = publish("smoke", inside_git / "store.json", root=inside_git)
    folder = inside_git / "checkpoints/smoke"
    (folder / "seed1.safetensors.resume").mkdir()
    (folder / "seed1.safetensors.resume/state").write_text("half way")
    (folder / ".snakemake_timestamp").touch()
    (folder / ".data.x7.tmp").mkdir()
    (folder / ".data.x7.tmp/frame.jpg").write_text("half a dataset")
    with atomic_file(folder / "seed2.json") as temporary:
        temporary.write_text("half a file")
        during = publish("smoke", inside_git / "store.json", root=inside_git)
    assert during == clean


def test_a_linked_dataset_is_not_copied(inside_git: Path, tmp_path: Path) -> None:
    (tmp_path / "real/frames").mkdir(parents=True)
    (tmp_path / "real/frames/1.jpg").write_text("large")
    (inside_git / "data/smoke/got10k").symlink_to(tmp_path / "real")
    for _ in range(2):  # as a whole folder at first, by its own name then
        assert publish("smoke", inside_git / "store.json", root=inside_git)["stored"]["data"]["files"] == 1


@pytest.mark.parametrize("types", ["hardlink", "reflink,hardlink,copy"])
def test_hard_links_are_refused_with_the_reason(inside_git: Path, types: str) -> None:
    dvc(inside_git, "config", "cache.type", types)
    with pytest.raises(UserError, match=r"write-protect.*cannot rerun") as caught:
        publish("smoke", inside_git / "store.json", root=inside_git)
    assert types in str(caught.value)
    assert not (inside_git / "data.dvc").exists()
    assert not (inside_git / "store.json").exists()


@pytest.mark.parametrize("gone", [".dvc", "data", "checkpoints"])
def test_a_missing_folder_is_named(bare: Path, gone: str) -> None:
    shutil.rmtree(bare / gone)
    with pytest.raises(UserError, match=gone):
        publish("smoke", bare / "store.json", root=bare)


def test_what_dvc_says_is_passed_on(inside_git: Path) -> None:
    (inside_git / "data.dvc").write_text("outs: [")
    with pytest.raises(UserError, match=r"`dvc add data checkpoints results/smoke` failed \(.*data\.dvc"):
        publish("smoke", inside_git / "store.json", root=inside_git)


def test_what_changes_while_it_is_stored_is_caught(inside_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = calls.call

    def add_then_edit(root: Path, *arguments: str, **options: str) -> str:
        said = real(root, *arguments, **options)
        if arguments[0] == "add":
            (root / "checkpoints/smoke/seed0.safetensors").write_text("other")
        return said

    monkeypatch.setattr(calls, "call", add_then_edit)
    with pytest.raises(UserError, match=r"seed0.safetensors: is not what DVC holds"):
        publish("smoke", inside_git / "store.json", root=inside_git)
    assert not (inside_git / "store.json").exists()


def test_missing_dvc_is_told(inside_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="DVC is not installed"):
        publish("smoke", inside_git / "store.json", root=inside_git)


@pytest.mark.parametrize("name", ["../mini", "", "Mini", "a/b"])
def test_a_profile_has_a_name(bare: Path, name: str) -> None:
    with pytest.raises(UserError, match="not the name of a profile"):
        publish(name, bare / "store.json", root=bare)


def test_eight_calls_at_once_wait_for_each_other(inside_git: Path) -> None:
    """DVC's own patience with its lock ends after three seconds."""
    names = [f"data{number}" for number in range(8)]
    for name in names:
        (inside_git / name).write_text(name)
    failed: list[str] = []

    def add(name: str) -> None:
        try:
            calls.call(inside_git, "add", name)
        except UserError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {file.stem for file in inside_git.glob("data*.dvc")} == set(names)
