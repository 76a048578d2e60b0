"""What is in a bundle, read by tools that are not ours."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from distillery.errors import UserError
from distillery.store import bundles
from project import Project
from small_workflow import CONFIG, git, made


def write(project: Project, out: Path) -> bundles.Manifest:
    return bundles.write("small", out, config=Path(CONFIG), root=project.root)


def test_tar_unpacks_it_and_every_hash_holds(finished: Project, tmp_path: Path) -> None:
    manifest = write(finished, tmp_path / "bundle.tar.gz")
    (tmp_path / "here").mkdir()
    subprocess.run(["tar", "xzf", tmp_path / "bundle.tar.gz"], cwd=tmp_path / "here", check=True)
    content = json.loads((tmp_path / "here/manifest.json").read_text())
    found = {
        str(file.relative_to(tmp_path / "here")): [
            hashlib.sha256(file.read_bytes()).hexdigest(),
            hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest(),
            file.stat().st_size,
        ]
        for file in (tmp_path / "here").rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }
    assert content["files"] == found
    assert made(tmp_path / "here") == made(finished.root)
    assert {"results/small/store.json", ".snakemake/snakemake.json.xz"} <= set(found)
    assert content["commit"] == git(finished.root, "rev-parse", "HEAD").strip()
    assert content["changed"] == []
    assert {"Snakefile", "src/train.py", "src/draw.py", CONFIG, "profiles/default/profile.yaml"} <= set(content["code"])
    assert content["code"]["Snakefile"] == hashlib.sha256((finished.root / "Snakefile").read_bytes()).hexdigest()
    assert bundles.read(tmp_path / "bundle.tar.gz") == manifest


def test_equal_content_gives_equal_bytes(finished: Project, own: Project, tmp_path: Path) -> None:
    """In another folder, with other dates, at another time."""
    write(finished, tmp_path / "one.tar.gz")
    shutil.copytree(own.root, tmp_path / "moved")
    for file in (tmp_path / "moved").rglob("*"):
        file.touch()
    time.sleep(1.1)  # gzip counts seconds
    write(Project(tmp_path / "moved"), tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("results/small/metrics/a/net/v/seed0.json", "is not what DVC holds"),
        ("src/train.py", "was edited after a job ran on it"),
        ("results/small/store.json", "is not published"),
        ("checkpoints/small/tracking/net/a/seed0.safetensors", "is gone"),
    ],
)
def test_what_is_not_what_was_published_is_refused(own: Project, tmp_path: Path, path: str, problem: str) -> None:
    if problem in ("is gone", "is not published"):
        (own.root / path).unlink()
    else:
        (own.root / path).write_text((own.root / path).read_text() + " ")
    with pytest.raises(UserError, match=problem) as caught:
        write(own, tmp_path / "out" / "bundle.tar.gz")
    assert path in str(caught.value)
    assert list((tmp_path / "out").rglob("*") if (tmp_path / "out").exists() else []) == []


def test_uncommitted_code_is_said(own: Project, tmp_path: Path) -> None:
    (own.root / "dvc.yaml").write_text("metrics: []\n")
    assert write(own, tmp_path / "bundle.tar.gz").changed == ["dvc.yaml"]
    shutil.rmtree(own.root / ".git")
    (own.root / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    assert write(own, tmp_path / "bundle.tar.gz").commit is None
