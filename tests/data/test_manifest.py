from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from distillery.data.manifest import build, dataset_root
from distillery.errors import UserError
from distillery.files import write_json


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for name, content in (("a.txt", b"one"), ("deep/er/b.bin", b"\0\1"), ("deep/a.txt", b""), (".hidden", b"x")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_lists_every_file_with_hash_and_size(root: Path) -> None:
    found = build(root, benchmark="test", counts={"sequences": 2})
    assert found == {
        "benchmark": "test",
        "counts": {"sequences": 2},
        "bytes": 5,
        "files": {
            "a.txt": [hashlib.sha256(b"one").hexdigest(), 3],
            "deep/a.txt": [hashlib.sha256(b"").hexdigest(), 0],
            "deep/er/b.bin": [hashlib.sha256(b"\0\1").hexdigest(), 2],
        },
    }
    assert list(found["files"]) == sorted(found["files"])


@pytest.mark.parametrize("workers", [1, 4])
def test_depends_on_content_alone(root: Path, tmp_path: Path, workers: int) -> None:
    before = build(root, benchmark="test", counts={}, workers=workers)
    (root / "a.txt").touch()
    assert build(root, benchmark="test", counts={}) == before
    (root / "a.txt").write_bytes(b"One")
    assert build(root, benchmark="test", counts={}) != before


def test_follows_links(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "part").symlink_to(root)
    assert build(link, benchmark="t", counts={}) == build(root, benchmark="t", counts={})
    assert "part/deep/er/b.bin" in build(tmp_path / "whole", benchmark="t", counts={})["files"]


class TestDatasetRoot:
    @pytest.fixture
    def manifest(self, root: Path) -> Path:
        path = root.with_suffix(".json")
        write_json(path, build(root, benchmark="test", counts={}))
        return path

    def test_is_the_folder_beside_it(self, root: Path, manifest: Path) -> None:
        assert dataset_root(manifest) == root

    def test_a_deleted_file(self, root: Path, manifest: Path) -> None:
        (root / "deep" / "a.txt").unlink()
        with pytest.raises(UserError) as caught:
            dataset_root(manifest)
        assert str(caught.value) == (
            f"{root}: lacks 1 of 3 files, the first is deep/a.txt; "
            f"delete {manifest} and run snakemake again to make the dataset anew."
        )

    def test_a_deleted_folder(self, root: Path, manifest: Path) -> None:
        root.rename(root.with_name("moved"))
        with pytest.raises(UserError, match="the dataset's folder does not exist"):
            dataset_root(manifest)

    def test_no_manifest(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"none\.json: does not exist"):
            dataset_root(tmp_path / "none.json")

    @pytest.mark.parametrize("content", [[], {}, {"files": []}, "text"])
    def test_something_else(self, manifest: Path, content: object) -> None:
        write_json(manifest, content)
        with pytest.raises(UserError, match=r"set\.json: is not a dataset manifest"):
            dataset_root(manifest)
