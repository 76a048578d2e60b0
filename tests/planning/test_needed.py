"""What is said when data are missing: of which sets, and once for all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distillery.config.base import parse
from distillery.config.profile import Profile, load
from distillery.planning.needed import absent, message, weights_of

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config").mkdir()
    shutil.copy(CONFIG / "datasets.yaml", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return Path()


@pytest.fixture(scope="module")
def paper() -> Profile:
    return load(CONFIG / "paper.yaml")


def changed(profile: Profile, *path: str, value: object) -> Profile:
    """The profile with another value at a path of keys."""
    content = profile.model_dump(mode="json")
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return parse(Profile, content, source="test")


def local(profile: Profile, root: str) -> Profile:
    """The profile with its OTB-100 in a folder of the user's."""
    return changed(profile, "data", "otb100", value={"source": "local", "root": root})


def test_a_set_is_there_when_its_marks_are(paper: Profile, folder: Path) -> None:
    (lack,) = absent(paper, ["prw"], folder=folder)
    assert lack.name == "PRW (prw)" and not lack.comes and "`distillery fetch prw`" in lack.how
    root = folder / "datasets/prw"
    for name in ("frames", "annotations"):
        (root / name).mkdir(parents=True)
    (root / "query_info.txt").touch()
    assert absent(paper, ["prw"], folder=folder) == []


def test_an_open_set_comes_by_itself_and_so_does_one_whose_archive_lies_ready(paper: Profile, folder: Path) -> None:
    assert [lack.comes for lack in absent(paper, ["otb100", "got10k"], folder=folder)] == [True, False]
    given = folder / "datasets/downloads/got10k"
    given.mkdir(parents=True)
    assert [lack.comes for lack in absent(paper, ["got10k"], folder=folder)] == [False], "an empty folder is no archive"
    (given / "full_data.zip").touch()
    assert [lack.comes for lack in absent(paper, ["got10k"], folder=folder)] == [True]


def test_a_folder_of_the_users(paper: Profile, folder: Path) -> None:
    profile = local(paper, "/nowhere/OTB")
    (lack,) = absent(profile, ["otb100"], folder=folder)
    assert lack.name == "otb100" and "at /nowhere/OTB" in lack.how
    assert absent(local(paper, "config"), ["otb100"], folder=folder) == []


def test_embedded_sets_are_never_missing(folder: Path) -> None:
    smoke = load(CONFIG / "smoke.yaml")
    assert absent(smoke, smoke.data.names, weights_of(smoke), folder=folder) == []


def test_weights_of_the_users_must_be_there_and_imagenets_come(paper: Profile, folder: Path) -> None:
    assert weights_of(paper) == []
    own = changed(paper, "person_search", "networks", "small", "pretrained", value="own/r18.pth")
    assert weights_of(own) == ["own/r18.pth"]
    (lack,) = absent(own, [], weights_of(own), folder=folder)
    assert lack.name == "own/r18.pth" and not lack.comes


def test_one_message_for_all_or_none_where_the_run_gets_everything(paper: Profile, folder: Path) -> None:
    said = message(absent(paper, paper.data.names, folder=folder))
    assert said is not None
    first, _, rest = said.partition("The run gets the rest by itself")
    assert first.startswith("6 things that this run reads must be got first:")
    assert first.count("\n  - ") == 6 and rest.count("\n  - ") == 7
    assert message(absent(paper, ["otb100", "coco"], folder=folder)) is None
    assert message([]) is None
