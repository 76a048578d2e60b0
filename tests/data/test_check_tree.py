"""The digest of a folder, and entries that no reader can use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from distillery.data.check_tree import look_at_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a" / "img").mkdir(parents=True)
    for name in ("a/img/0001.jpg", "a/img/0002.jpg", "a/truth.txt", "list.txt"):
        (root / name).write_text(name)
    return root


def write_again(root: Path) -> None:
    """The same bytes, the same size, the same time of modification."""
    file = root / "a/truth.txt"
    state = file.stat()
    time.sleep(0.02)
    file.write_text("A/TRUTH.TXT")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "added": lambda root: (root / "a/more.txt").touch(),
    "removed": lambda root: (root / "a/truth.txt").unlink(),
    "renamed": lambda root: (root / "a/truth.txt").rename(root / "a/true.txt"),
    "longer": lambda root: (root / "list.txt").write_text("list.txt and more"),
    "touched": lambda root: os.utime(root / "list.txt", (1, 1)),
    "written with its date set back": write_again,
    "an empty folder": lambda root: (root / "b").mkdir(),
    "forbidden": lambda root: (root / "list.txt").chmod(0o200),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_shows(root: Path, change: str) -> None:
    before = look_at_tree(root)
    assert before.digest == look_at_tree(root).digest
    assert (before.files, before.bytes) == (4, 14 + 14 + 11 + 8)
    CHANGES[change](root)
    assert look_at_tree(root).digest != before.digest


def test_reading_is_no_change(root: Path) -> None:
    before = look_at_tree(root).digest
    for file in root.rglob("*"):
        if file.is_file():
            file.read_bytes()
    assert look_at_tree(root).digest == before


def test_links_are_followed(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.txt").write_text("1")
    (root / "linked").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere)  # twice the same, as for two targets of one video
    before = look_at_tree(root)
    assert before.faults == {}
    (elsewhere / "x.txt").write_text("22")
    assert look_at_tree(root).digest != before.digest


def test_what_no_reader_can_use_is_named_and_the_walk_goes_on(root: Path) -> None:
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a" / "self")
    (root / "a" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    os.mkfifo(root / "pipe")
    tree = look_at_tree(root)
    assert {Path(path).name: what for path, what in tree.faults.items()} == {
        "loop": "is a link to a folder around it, which has no end",
        "self": "cannot be read (Too many levels of symbolic links)",
        "gone.jpg": "is a link to a file that does not exist",
        "pipe": "is a pipe, which no dataset has",
    }
    assert tree.files == 5


def test_a_knot_of_links_is_walked_once(tmp_path: Path) -> None:
    """Forty folders, each with two links to the next: 2^40 ways through, forty folders to look at."""
    folders = [tmp_path / f"{i:02d}" for i in range(40)]
    for folder in folders:
        folder.mkdir()
    for one, other in pairwise(folders):
        (one / "left").symlink_to(other)
        (one / "right").symlink_to(other)
    tree = look_at_tree(folders[0])
    assert tree.files == 0 and tree.faults == {}


def test_hidden_folders_are_left_out(root: Path) -> None:
    (root / ".snapshot").mkdir()
    before = look_at_tree(root).digest
    (root / ".snapshot" / "old.txt").touch()
    assert look_at_tree(root).digest == before
    (root / ".DS_Store").touch()
    assert look_at_tree(root).digest != before


def test_a_root_that_is_gone(tmp_path: Path) -> None:
    assert list(look_at_tree(tmp_path / "gone").faults.values()) == ["cannot be read (No such file or directory)"]
