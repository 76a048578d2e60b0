"""Compact copies of large protocols: equal, outside the dataset, and never needed."""

from __future__ import annotations

import os

import numpy as np
import pytest

from distillery.person_search.benchmarks import cache, cuhk_protocols
from person_search import builders


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CACHED_FROM", 0)
    monkeypatch.setenv("DISTILLERY_CACHE", str(tmp_path / "cache"))
    return builders.write_root(tmp_path / "CUHK-SYSU")


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that are really read."""
    names, read = [], cuhk_protocols._read_protocol
    monkeypatch.setattr(
        cuhk_protocols, "_read_protocol", lambda file, *rest: names.append(file.name) or read(file, *rest)
    )
    return names


def equal(first, second):
    assert (first.name, first.gallery_size, first.images) == (second.name, second.gallery_size, second.images)
    for a, b in zip(first.queries, second.queries, strict=True):
        assert (a.image, a.identity, a.box.tolist()) == (b.image, b.identity, b.box.tolist())
    for name in ("offsets", "entries", "positives", "positive_boxes"):
        a, b = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_a_file_is_read_once(root, reads):
    before = sorted(path for path in root.rglob("*"))
    first, second = (cuhk_protocols.load_protocol(root, 3) for _ in range(2))
    assert reads == ["TestG3.mat"]
    equal(first, second)
    assert sorted(path for path in root.rglob("*")) == before  # nothing lies in the dataset


def test_another_content_is_read_anew(root, reads):
    cuhk_protocols.load_protocol(root, 3)
    builders.write_protocol(root, 3, builders.QUERIES[3][:1])
    assert len(cuhk_protocols.load_protocol(root, 3).queries) == 1 and len(reads) == 2


def test_damaged_copies_are_replaced(root, reads, tmp_path):
    expected = cuhk_protocols.load_protocol(root, 3)
    (copy,) = (tmp_path / "cache").rglob("*.npz")
    whole = copy.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"rubbish"):
        copy.write_bytes(content)
        equal(cuhk_protocols.load_protocol(root, 3), expected)
    assert len(reads) == 4 and copy.read_bytes() == whole
    with np.load(copy) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(copy, **(arrays | {"entries": arrays["entries"] + 99}))
    equal(cuhk_protocols.load_protocol(root, 3), expected)


def test_folders_that_cannot_be_written(root, reads, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    for folder in (blocked, blocked / "below"):
        monkeypatch.setenv("DISTILLERY_CACHE", str(folder))
        assert len(cuhk_protocols.load_protocol(root, 3).queries) == 2
    if os.geteuid():  # root may write anywhere
        sealed = tmp_path / "sealed"
        sealed.mkdir(mode=0o500)
        monkeypatch.setenv("DISTILLERY_CACHE", str(sealed))
        cuhk_protocols.load_protocol(root, 3)
    assert len(reads) >= 2


def test_where_copies_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILLERY_CACHE", "")
    assert cache.cache_folder() is None
    monkeypatch.delenv("DISTILLERY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "distillery"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "distillery"


def test_small_files_are_not_cached(root, reads, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CACHED_FROM", 1 << 20)
    for _ in range(2):
        cuhk_protocols.load_protocol(root, 3)
    assert len(reads) == 2 and not (tmp_path / "cache").exists()
