"""Publishing with the real DVC, in small folders."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from distillery import store
from distillery.errors import UserError
from distillery.files import atomic_file

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's own DVC set-up around two small folders, with no user's or system's settings."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(REPOSITORY / name, root / name)
    for name, text in {"data/smoke/otb100.json": "{}", "checkpoints/smoke/seed0.safetensors": "weights"}.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    for level in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
        monkeypatch.setenv(f"DVC_{level}_DIR", str(tmp_path / level.lower()))
    return root


def dvc(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def test_publish_in_git_is_clean_and_recorded(project: Path) -> None:
    git(project, "init", "-q")
    record = store.publish("smoke", project / "results/smoke/store.json", root=project)
    assert record == json.loads((project / "results/smoke/store.json").read_text())
    assert record["profile"] == "smoke"
    assert record["stored"]["checkpoints"]["files"] == 1
    assert record["stored"]["checkpoints"]["bytes"] == len("weights")
    pointer = yaml.safe_load((project / "checkpoints.dvc").read_text())["outs"][0]
    assert pointer["md5"] == record["stored"]["checkpoints"]["md5"]
    # DVC names content by its MD5: the bytes are in the cache under the name computed here.
    digest = hashlib.md5(b"weights", usedforsecurity=False).hexdigest()
    assert (project / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_text() == "weights"
    assert dvc(project, "status", "--json").strip() == "{}"
    assert git(project, "check-ignore", "data", "checkpoints").split() == ["data", "checkpoints"]
    untracked = git(project, "status", "--porcelain", "--untracked-files=all")
    assert "data.dvc" in untracked
    assert ".dvc/cache" not in untracked
    assert (project / ".gitignore").read_text() == (REPOSITORY / ".gitignore").read_text()


def test_outputs_stay_writable(project: Path) -> None:
    """A write-protected output could not be made again."""
    git(project, "init", "-q")
    store.publish("smoke", project / "store.json", root=project)
    output = project / "checkpoints/smoke/seed0.safetensors"
    assert output.stat().st_mode & 0o200
    assert not output.is_symlink()


def test_publish_works_without_git_and_follows_when_git_comes(project: Path) -> None:
    store.publish("smoke", project / "store.json", root=project)
    assert "up to date" in dvc(project, "status")
    git(project, "init", "-q")
    store.publish("smoke", project / "store.json", root=project)
    assert "no_scm" not in (project / ".dvc/config.local").read_text()
    assert "up to date" in dvc(project, "status")


def test_a_second_publish_takes_up_changes(project: Path) -> None:
    git(project, "init", "-q")
    first = store.publish("smoke", project / "store.json", root=project)
    (project / "checkpoints/smoke/seed1.safetensors").write_text("more")
    second = store.publish("smoke", project / "store.json", root=project)
    assert second["stored"]["data"] == first["stored"]["data"]
    assert second["stored"]["checkpoints"]["files"] == 2


def test_states_and_temporary_files_are_not_stored(project: Path) -> None:
    git(project, "init", "-q")
    clean = store.publish("smoke", project / "store.json", root=project)
    folder = project / "checkpoints/smoke"
    (folder / "seed1.safetensors.resume").mkdir()
    (folder / "seed1.safetensors.resume/state").write_text("half way")
    (folder / ".snakemake_timestamp").touch()
    (folder / ".data.x7.tmp").mkdir()
    (folder / ".data.x7.tmp/frame.jpg").write_text("half a dataset")
    with atomic_file(folder / "seed2.json") as temporary:
        temporary.write_text("half a file")
        during = store.publish("smoke", project / "store.json", root=project)
    assert during == clean


def test_a_linked_dataset_is_not_copied(project: Path, tmp_path: Path) -> None:
    git(project, "init", "-q")
    (tmp_path / "real/frames").mkdir(parents=True)
    (tmp_path / "real/frames/1.jpg").write_text("large")
    (project / "data/smoke/got10k").symlink_to(tmp_path / "real")
    assert store.publish("smoke", project / "store.json", root=project)["stored"]["data"]["files"] == 1


@pytest.mark.parametrize("types", ["hardlink", "reflink,hardlink,copy"])
def test_hard_links_are_refused_with_the_reason(project: Path, types: str) -> None:
    git(project, "init", "-q")
    dvc(project, "config", "cache.type", types)
    with pytest.raises(UserError, match=r"write-protect.*cannot rerun") as caught:
        store.publish("smoke", project / "store.json", root=project)
    assert types in str(caught.value)
    assert not (project / "data.dvc").exists()
    assert not (project / "store.json").exists()


@pytest.mark.parametrize("gone", [".dvc", "data", "checkpoints"])
def test_a_missing_folder_is_named(project: Path, gone: str) -> None:
    shutil.rmtree(project / gone)
    with pytest.raises(UserError, match=gone):
        store.publish("smoke", project / "store.json", root=project)


def test_what_dvc_says_is_passed_on(project: Path) -> None:
    git(project, "init", "-q")
    (project / "data.dvc").write_text("outs: [")
    with pytest.raises(UserError, match=r"`dvc add data checkpoints` failed \(.*data\.dvc"):
        store.publish("smoke", project / "store.json", root=project)


def test_missing_dvc_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="DVC is not installed"):
        store.publish("smoke", project / "store.json", root=project)


def test_publishing_does_not_make_inputs_look_changed(project: Path) -> None:
    """The content that Snakemake compares is the same after DVC has taken and given back the files."""
    git(project, "init", "-q")
    before = {path: path.read_bytes() for path in project.glob("*/smoke/*")}
    store.publish("smoke", project / "store.json", root=project)
    assert {path: path.read_bytes() for path in project.glob("*/smoke/*")} == before
    assert os.access(project / "data/smoke/otb100.json", os.W_OK)
