from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from distillery.config.tracking import TrackJob
from distillery.errors import UserError
from distillery.tracking import indices
from distillery.tracking.running import track, track_all

WriteOTB = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, write_otb: WriteOTB) -> Path:
    return write_otb(tmp_path / "data" / "otb")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def static(root: Path, results: Path, *, replace: bool = False) -> None:
    track("otb100", root, results, TrackJob(), baseline="static", replace=replace)


def refused(tmp_path: Path, root: Path, results: Path, words: str, *, replace: bool = False) -> None:
    before = content(tmp_path)
    with pytest.raises(UserError) as caught:
        static(root, results, replace=replace)
    assert words in str(caught.value)
    assert content(tmp_path) == before


def test_our_own_results_are_replaced(tmp_path: Path, root: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        static(root, out)
        assert sorted(content(out)) == ["First001.txt", "Second002.txt"]
    (out / "First001.txt").unlink()
    static(root, out)
    assert sorted(content(out)) == ["First001.txt", "Second002.txt"]


def test_an_empty_folder_is_taken(tmp_path: Path, root: Path) -> None:
    (tmp_path / "out").mkdir()
    static(root, tmp_path / "out")
    assert indices.read_index(tmp_path / "out.json") is not None


def test_folders_of_others_are_not(tmp_path: Path, root: Path) -> None:
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    (out / "deep" / "thesis.tex").write_text("years of work")
    refused(tmp_path, root, out, f"{out}: holds deep/thesis.tex, and no index beside it says")
    static(root, out, replace=True)
    assert sorted(content(out)) == ["First001.txt", "Second002.txt"]
    (out / "notes.txt").write_text("seen")
    refused(tmp_path, root, out, f"{out}: holds notes.txt, which no tracker wrote there")


def test_downloaded_results_are_not(tmp_path: Path, root: Path) -> None:
    """Their files have the names of ours, but nothing says that they are."""
    out = tmp_path / "SiamRPN"
    out.mkdir()
    (out / "First001.txt").write_text("1,2,3,4\n")
    refused(tmp_path, root, out, "holds First001.txt, and no index")


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"benchmark": "otb100", "sequences": {}}', "9" * 5000])
def test_files_where_the_index_goes_are_kept(tmp_path: Path, root: Path, text: str) -> None:
    (tmp_path / "out.json").write_text(text)
    for replace in (False, True):
        words = "out.json: is not the index of a results folder and would be overwritten"
        refused(tmp_path, root, tmp_path / "out", words, replace=replace)


def test_results_on_another_benchmark_are_kept(tmp_path: Path, root: Path) -> None:
    static(root, tmp_path / "out")
    index = json.loads((tmp_path / "out.json").read_text())
    (tmp_path / "out.json").write_text(json.dumps(index | {"benchmark": "dtb70"}))
    refused(tmp_path, root, tmp_path / "out", "out.json: is the index of results on dtb70, not on otb100")


@pytest.mark.parametrize("replace", [False, True])
def test_the_dataset_is_never_replaced(tmp_path: Path, root: Path, replace: bool) -> None:
    (tmp_path / "link").symlink_to(root)
    (tmp_path / "far").symlink_to(tmp_path / "data")
    for results in (root, root / "out", root / "First001", root.parent, root.parent.parent, Path("/")):
        refused(tmp_path, root, results, "which results must not replace", replace=replace)
    for results in (tmp_path / "link", tmp_path / "link" / "out", tmp_path / "far", root / ".." / "otb"):
        refused(tmp_path, root, results, "which results must not replace", replace=replace)
    refused(tmp_path, tmp_path / "link", root, "which results must not replace", replace=replace)


def test_nor_is_the_checkpoint(tmp_path: Path, root: Path) -> None:
    net = tmp_path / "nets" / "seed0.safetensors"
    net.parent.mkdir()
    net.write_bytes(b"weights")
    with pytest.raises(UserError, match=r"seed0\.safetensors, which results must not replace"):
        track("otb100", root, net.parent, TrackJob(), checkpoint=net, replace=True)
    (tmp_path / "nets" / "seed0.json").write_text('{"kind": "siamfc"}')
    with pytest.raises(UserError, match=r"seed0\.json: is not the index of a results folder"):
        track("otb100", root, net.with_suffix(""), TrackJob(), checkpoint=net, replace=True)
    assert net.read_bytes() == b"weights"


def test_relative_folders(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    static(root, Path())
    assert sorted(content(out)) == ["First001.txt", "Second002.txt"]
    assert indices.read_index(tmp_path / "out.json") is not None
    monkeypatch.chdir(tmp_path)
    static(root, Path("out/../out"))
    refused(tmp_path, root, Path(), ": is, holds or lies in")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("precious")
    monkeypatch.chdir(tmp_path / "elsewhere")
    refused(tmp_path, root, Path(), "holds file, and no index")


@pytest.mark.parametrize(
    ("first", "second"), [("r", "r"), ("r", "r/s"), ("r/s", "r"), ("r", "r.json"), ("r", "./x/../r")]
)
def test_results_of_two_benchmarks_do_not_meet(tmp_path: Path, root: Path, first: str, second: str) -> None:
    targets = {"otb100": (root, tmp_path / first), "dtb70": (root, tmp_path / second)}
    with pytest.raises(UserError, match="the results of otb100 and dtb70 would meet there; give each"):
        track_all(targets, TrackJob(), baseline="static")
    assert not (tmp_path / "r").exists()


def test_nothing_is_run_if_one_destination_is_refused(tmp_path: Path, root: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_text("precious")
    targets = {"otb100": (root, tmp_path / "a"), "dtb70": (root, tmp_path / "b")}
    with pytest.raises(UserError, match="b: holds file"):
        track_all(targets, TrackJob(), baseline="static")
    assert not (tmp_path / "a").exists()
    (tmp_path / "c").write_text("precious")
    refused(tmp_path, root, tmp_path / "c", "c: is a file, a folder is to be written there")


def test_an_index_is_told_from_other_files(tmp_path: Path, root: Path) -> None:
    static(root, tmp_path / "out")
    with pytest.raises(UserError, match=r"out\.json: is the index of a results folder and would be overwritten"):
        indices.refuse_index(tmp_path / "out.json")
    (tmp_path / "other.json").write_text("{}")
    for path in (
        None,
        tmp_path / "none.json",
        tmp_path / "other.json",
        tmp_path,
        root / "First001" / "img" / "0001.jpg",
    ):
        indices.refuse_index(path)
