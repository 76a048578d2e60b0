"""A set that comes back from the store."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from acquisition_desk import PETS, Desk, row
from distillery.errors import UserError


class TestDVC:
    def dvc(self, root: Path, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", "-q", *arguments], cwd=root, check=True, capture_output=True)

    def git(self, root: Path, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def test_a_set_that_was_stored(self, desk: Desk, tmp_path: Path) -> None:
        desk.pets()
        self.git(desk.root, "init", "-q")
        (desk.root / ".dvc").mkdir()  # as a clone of the project has it
        (desk.root / ".dvc" / "config").write_text(
            f"[core]\n    analytics = false\n    remote = box\n['remote \"box\"']\n    url = {tmp_path / 'remote'}\n"
        )
        desk.fetch()
        self.dvc(desk.root, "add", "datasets/pets")
        self.dvc(desk.root, "push")
        self.git(desk.root, "add", "datasets/pets.dvc", ".dvc/config")
        self.git(desk.root, "commit", "-qm", "pets")
        first = self.git(desk.root, "rev-parse", "HEAD")
        for revision in ("", first):
            shutil.rmtree(desk.folder / "pets")
            shutil.rmtree(desk.root / ".dvc" / "cache")
            (desk.folder / "pets.fetched.json").unlink(missing_ok=True)
            if revision:
                (desk.folder / "pets.dvc").unlink()
            desk.fetch(revision=revision)
            assert desk.tree() == PETS
            assert len(desk.site.asked) == 2
            assert desk.marker()["from"].startswith("DVC, datasets/pets")
        with pytest.raises(UserError, match=r"dogs\.dvc: does not exist, so DVC knows no copy"):
            desk.register(dogs=row(access="form", ask="ask"))
            desk.fetch("dogs", revision="")

    def test_outside_a_project(self, desk: Desk) -> None:
        desk.pets()
        with pytest.raises(UserError, match="lies in no project with DVC"):
            desk.fetch(revision="")
