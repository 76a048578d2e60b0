"""A clone that was restored, as Snakemake sees it: with every kind of cache, for root and for those who are not."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import small_workflow
from project import REPOSITORY, Project, environment
from small_workflow import CONFIG, NAMES, commit, dvc, git, made

ON = ("--configfile", CONFIG)
BRANCH = {"train": 1, "track": 1, "score": 1, "report": 1, "publish_headline": 1}
"""The jobs of one name; not those of the others, though they share a recording that is not stored."""


def without_privileges() -> None:
    """Root then reads and writes what its files' modes say, like anybody: nothing of its capabilities outlives exec."""
    libc, drop_from_bounding_set = ctypes.CDLL(None, use_errno=True), 24
    for capability in range(64):
        libc.prctl(drop_from_bounding_set, capability, 0, 0, 0)


def run(root: Path, user: str, *command: str) -> str:
    """Output of a Python module's command in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env=environment() | {"PYTHONPATH": str(REPOSITORY / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        preexec_fn=without_privileges if user == "not root" else None,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


USERS = ["root", "not root"] if os.getuid() == 0 else ["not root"]


def test_who_is_not_root_cannot_write_what_is_protected(tmp_path: Path) -> None:
    """The check of the check."""
    file = tmp_path / "protected"
    file.touch()
    file.chmod(0o444)
    program = f"open({str(file)!r}, 'w')"
    done = subprocess.run(
        [sys.executable, "-c", program], preexec_fn=without_privileges, capture_output=True, check=False
    )
    assert b"PermissionError" in done.stderr


@pytest.fixture(scope="session")
def store(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds what the finished project has published."""
    folder = tmp_path_factory.mktemp("remote") / "near"
    dvc(finished.root, "remote", "add", "--local", "near", str(folder))
    dvc(finished.root, "push", "--remote", "near")
    return folder


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("types", ["copy", "reflink,copy", "symlink"])
def test_a_restored_clone_has_nothing_to_do(
    finished: Project, clone: Project, store: Path, types: str, user: str
) -> None:
    (clone.root / ".dvc/config.local").write_text(
        f'[core]\n    remote = near\n[cache]\n    type = "{types}"\n[\'remote "near"\']\n    url = {store}\n'
    )
    run(clone.root, user, "distillery", "restore", "--profile", "small")
    links = [file for file in (clone.root / "checkpoints").rglob("*") if file.is_symlink()]
    assert bool(links) == (types == "symlink")
    assert "Nothing to be done" in run(clone.root, user, "snakemake", "-n", *ON)
    assert made(clone.root) == made(finished.root)
    if types == "reflink,copy":  # on most disks copies
        return
    # Outputs can be made again, and what the cache holds is not written through a link.
    weights = clone.root / "checkpoints/small/tracking/net/b/seed0.safetensors"
    before = weights.read_bytes()
    changed = "rate: { a: 1, b: 3 }"
    (clone.root / CONFIG).write_text((clone.root / CONFIG).read_text().replace("rate: { a: 1, b: 2 }", changed))
    target = str(weights.relative_to(clone.root))
    run(clone.root, user, "snakemake", "--cores", "1", target, *ON)
    assert weights.read_bytes() != before
    assert (finished.root / target).read_bytes() == before
    dvc(clone.root, "checkout", "--force", "checkpoints.dvc")
    assert weights.read_bytes() == before


@pytest.fixture(scope="session")
def restored(finished: Project, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    clone = small_workflow.clone(finished, tmp_path_factory.mktemp("restored") / "clone")
    dvc(clone.root, "remote", "add", "--local", "-d", "near", str(store))
    run(clone.root, "root", "distillery", "restore", "--profile", "small")
    return clone


@pytest.fixture
def project(restored: Project, tmp_path: Path) -> Project:
    shutil.copytree(restored.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def test_touched_files_and_a_round_trip_of_git_rerun_nothing(project: Project) -> None:
    for number, file in enumerate(sorted(project.root.rglob("*"), reverse=True)):
        if ".snakemake" not in file.parts and ".git" not in file.parts:
            os.utime(file, (1_000_000_000 + number, 1_000_000_000 + number))
    assert project.jobs(*ON) == {}
    git(project.root, "checkout", "-q", "-b", "other")
    for name in ("src/train.py", "src/draw.py", "Snakefile"):
        project.append(name)
    commit(project.root, "other")
    assert project.jobs(*ON)["train"] == len(NAMES)
    git(project.root, "checkout", "-q", "-")
    assert project.jobs(*ON) == {}


def test_a_comment_in_a_source_reruns_those_that_declare_it(project: Project) -> None:
    project.append("src/score.py", "# edited\n")
    assert project.jobs(*ON) == {"score": len(NAMES), "report": 1, "publish_headline": 1}


def test_a_parameter_reruns_its_branch_only(project: Project) -> None:
    project.edit(CONFIG, "b: 2 }", "b: 3 }")
    assert project.jobs(*ON) == BRANCH


def test_one_changed_dataset_reruns_its_consumers_only(project: Project) -> None:
    (project.root / "data/small/c.json").write_text("{}")
    assert project.jobs(*ON) == BRANCH
    (project.root / "data/small/a.json").write_text("{}")  # that of which the recording is made, which all read
    assert project.jobs(*ON) == {"crops": 1, "report": 1, "publish_headline": 1} | dict.fromkeys(
        ["train", "track", "score"], len(NAMES)
    )


def test_eight_parallel_jobs_and_publishing_meet_no_lock(project: Project) -> None:
    """While somebody else keeps asking DVC, too."""
    over, failed = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            command = [sys.executable, "-m", "dvc", "--wait-for-lock", "add", "-q", "dvc.yaml.copy"]
            done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
            failed.extend([done.stderr] if done.returncode else [])

    (project.root / "dvc.yaml.copy").write_text("text")
    other = threading.Thread(target=ask)
    other.start()
    try:
        said = project.snakemake("--forceall", "--cores", "8", *ON)
    finally:
        over.set()
        other.join()
    assert "Unable to acquire lock" not in said
    assert failed == []
    assert project.jobs(*ON) == {}
