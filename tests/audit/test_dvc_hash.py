"""DVC's own hash of a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from distillery.audit.dvc_hash import hash_of

NAMES = ("a/b.jpg", "a.txt", "a-b/c", "ab/é ü.txt", "B", "a/B/0001.jpg", "a/b0/1")


def test_a_folder_has_the_hash_that_dvc_gives_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x" * number)
    for words in (["init", "-q", "--no-scm"], ["add", "-q", "data"]):
        subprocess.run([sys.executable, "-m", "dvc", *words], cwd=tmp_path, check=True)
    (out,) = yaml.safe_load((tmp_path / "data.dvc").read_text())["outs"]
    assert hash_of(folder, NAMES, workers=2) == out["md5"]
