from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import yaml

from distillery.cli import main
from web_server import Site


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a register of an open and a gated set; the current folder."""
    monkeypatch.chdir(tmp_path)
    row = {"used_for": "tests", "page": "https://pets.example", "licence": "none", "amount": "60 MB", "layout": "Dog"}
    row |= {"marks": ["Dog"], "counts": {}, "unverified": "all"}
    gated = row | {"title": "Gated", "access": "form", "ask": "fill the form"}
    open_set = row | {
        "title": "Open",
        "access": "open",
        "archives": [{"name": "p.zip", "urls": ["http://127.0.0.1:9"]}],
    }
    file = tmp_path / "config" / "datasets.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump({"open": open_set, "gated": gated}, sort_keys=False))
    return file


def test_lists_what_is_there_and_what_is_begun(register: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("datasets/gated/Dog").mkdir(parents=True)
    Path("datasets/.open.partial").mkdir()
    assert main(["fetch", "--list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["name", "set", "access", "here", "download"]
    assert lines[1][:4] == ["open", "Open", "open", "begun"]
    assert lines[2][:4] == ["gated", "Gated", "form", "there"]


def test_a_gated_set_is_one_sentence(register: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "gated"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("distillery: datasets/gated: Gated has to be asked for (form); fill the form; put it into ")
    assert "datasets/downloads/gated and run `distillery fetch gated` (or `--from`" in said
    assert said.count("\n") == 1


def test_without_a_name(register: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch"]) == 1
    assert "no dataset is named; name one, or see `distillery fetch --list`" in capsys.readouterr().err


def test_fetches_with_progress_of_what_is_large(
    register: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distillery.fetch_commands._SHOWN", 3_000_000)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:  # stored, so that it is as large as what it holds
        archive.writestr("Dog/img.jpg", bytes(3_000_000))
    with Site() as site:
        site.content["/p.zip"] = stream.getvalue()
        rows = yaml.safe_load(register.read_text())
        rows["open"]["archives"][0]["urls"] = [f"{site.url}/p.zip"]
        register.write_text(yaml.safe_dump(rows))
        assert main(["fetch", "open", "--keep"]) == 0
        assert main(["fetch", "Open"]) == 0
    told = capsys.readouterr()
    assert told.out == "datasets/open: is there, made of one file\ndatasets/open: is there already, nothing to do\n"
    assert "download p.zip, MB: 3/3 done in" in told.err
    assert "unpack p.zip, MB: 3/3 done in" in told.err
    assert Path("datasets/open/Dog/img.jpg").stat().st_size == 3_000_000
    assert Path("datasets/downloads/open/p.zip").is_file()
    assert Path("config/datasets.lock.json").is_file()


def test_from_and_from_dvc_exclude_each_other(register: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fetch", "open", "--from", "x", "--from-dvc"])
    assert "not allowed with argument" in capsys.readouterr().err
