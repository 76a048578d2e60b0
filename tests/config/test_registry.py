from __future__ import annotations

import copy
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from distillery import datasets
from distillery.config.base import parse
from distillery.config.data import Data, RegistryCopy
from distillery.config.profile import load
from distillery.config.registry import Archive, Registry, load_registry
from distillery.data import registry_report
from distillery.data.layout import find_root, holds, lacking
from distillery.errors import UserError
from distillery.tracking.benchmarks import lasot_table, otb100_table, vot_table

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "config" / "datasets.yaml"
REGISTRY = load_registry(FILE)


def changed(name: str, **own: Any) -> dict[str, Any]:
    rows: dict[str, Any] = copy.deepcopy(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    rows[name] |= own
    return {"sets": rows}


class TestTheShippedRegister:
    def test_has_every_set_of_both_papers(self) -> None:
        asked = ("OTB-100", "DTB70", "VOT2018", "VOT2019", "LaSOT", "TrackingNet", "GOT-10k", "ILSVRC2015-VID")
        asked += ("YouTube-BB", "COCO", "ImageNet-DET", "CUHK-SYSU", "PRW", "ImageNet weights")
        assert {REGISTRY.find(title)[1].title for title in asked} == set(asked)
        assert len(REGISTRY.sets) == len(asked)

    def test_knows_the_sets_by_the_names_of_the_config(self) -> None:
        assert set(datasets.DATASETS) <= set(REGISTRY.sets)
        assert set(Data.model_fields) <= set(REGISTRY.sets)

    def test_the_page_is_up_to_date(self) -> None:
        written = (REPOSITORY / "docs" / "datasets.md").read_text(encoding="utf-8")
        command = "run `python -m distillery.data.registry_report docs/datasets.md`"
        assert written == registry_report.markdown(REGISTRY), command

    def test_names_a_source_beside_every_size_and_hash(self) -> None:
        """A number that nobody can look up is no number."""
        text = FILE.read_text(encoding="utf-8")
        rows = {part.split(":")[0].strip(): part for part in re.split(r"\n(?=[a-z0-9_]+:\n)", text)[1:]}
        assert set(rows) == set(REGISTRY.sets)
        for name, row in REGISTRY.sets.items():
            known = [
                file for file in row.files if file.size or file.sha256 or file.sha1 or file.md5 or file.sha256_prefix
            ]
            assert "#" in rows[name] or not known, name

    def test_otb_has_an_archive_for_each_sequence_of_the_benchmark(self) -> None:
        """Jogging and Skating2 hold two targets each."""
        names = {name.partition("-")[0] for name in otb100_table.SEQUENCES}
        assert {file.name.removesuffix(".zip") for file in REGISTRY.sets["otb100"].files} == names
        assert REGISTRY.sets["otb100"].counts["sequences"] == len(otb100_table.SEQUENCES)

    def test_lasot_has_an_archive_for_each_class_of_the_test_split(self) -> None:
        classes = {name.rpartition("-")[0] for name in lasot_table.SEQUENCES}
        row = REGISTRY.sets["lasot"]
        assert {file.into for file in row.files} == classes
        assert row.counts["test_sequences"] == len(lasot_table.SEQUENCES)
        marked = {mark.split("/")[1] for mark in row.marks}
        assert marked <= set(lasot_table.SEQUENCES) | {"airplane-1"}

    @pytest.mark.parametrize("year", ["vot2018", "vot2019"])
    def test_vot_years_are_told_apart(self, year: str) -> None:
        other = {"vot2018": "vot2019", "vot2019": "vot2018"}[year]
        (first, *_) = REGISTRY.sets[year].marks
        sequence = first.split("/")[0]
        assert sequence in vot_table.SEQUENCES[year]
        assert sequence not in vot_table.SEQUENCES[other]
        assert REGISTRY.sets[year].counts["sequences"] == len(vot_table.SEQUENCES[year])

    def test_the_weights_are_those_of_torchvision(self) -> None:
        found = find_spec("torchvision")
        assert found is not None and found.origin is not None
        models = Path(found.origin).parent / "models"
        sources = "".join((models / f"{name}.py").read_text(encoding="utf-8") for name in ("resnet", "mobilenetv2"))
        files = REGISTRY.sets["weights"].files
        assert len(files) == 4
        for file in files:
            assert f'"{file.urls[0]}"' in sources
            assert file.name.endswith(f"-{file.sha256_prefix}.pth")

    def test_the_paper_profile_gets_its_sets_from_it(self) -> None:
        profile = load(REPOSITORY / "config" / "paper.yaml")
        for name in profile.data.names:
            section = getattr(profile.data, name)
            assert isinstance(section, RegistryCopy)
            assert section.root == f"datasets/{name}"


class TestRows:
    @pytest.mark.parametrize(
        ("name", "own", "words"),
        [
            ("coco", {"acces": "open"}, r"sets\.coco\.acces: unknown key; did you mean `access`"),
            ("coco", {"access": "free"}, r"sets\.coco\.access: input should be 'open', 'form', 'e-mail' or 'by hand'"),
            ("coco", {"archives": []}, "an open set needs archives with addresses, or an index"),
            ("got10k", {"ask": None}, "`ask` must say where and how to get a set that is not open"),
            ("coco", {"archives": [{"name": "a.zip", "urls": ["ftp://x/a.zip"]}]}, "pattern"),
            ("coco", {"archives": [{"name": "../a.zip", "urls": ["http://x"]}]}, "pattern"),
            ("coco", {"archives": [{"name": "a.zip", "urls": ["http://x"], "into": "../x"}]}, "below the set's folder"),
            ("coco", {"archives": [{"name": "a.zip", "urls": ["http://x"], "into": "/x"}]}, "below the set's folder"),
            ("coco", {"archives": [{"name": "{each}.zip", "urls": ["http://x"]}]}, "go together"),
            ("coco", {"archives": [{"name": "a.zip", "sha256": "12", "urls": ["http://x"]}]}, "pattern"),
            (
                "coco",
                {"archives": [{"name": "a.zip", "urls": ["http://x"]}, {"name": "A.zip", "urls": ["http://x"]}]},
                "two archives have the same name",
            ),
            ("coco", {"index": {"kind": "huggingface", "url": "https://x"}}, "needs both"),
            ("coco", {"marks": []}, "at least 1 item"),
        ],
    )
    def test_a_fault_is_told_in_one_sentence(self, name: str, own: dict[str, Any], words: str) -> None:
        with pytest.raises(UserError, match=words) as caught:
            parse(Registry, changed(name, **own), source="datasets.yaml")
        assert "\n" not in str(caught.value)

    def test_one_entry_for_each(self) -> None:
        archive = Archive(
            name="{each}.zip", urls=("http://a/{each}.zip", "http://b/{each}"), into="x/{each}", each=("p", "q")
        )
        first, second = archive.files
        assert (first.name, first.urls, first.into) == ("p.zip", ("http://a/p.zip", "http://b/p"), "x/p")
        assert second.path == "x/q/q.zip"

    @pytest.mark.parametrize("name", ["otb100", "OTB-100", "OTB 100", "Otb_100"])
    def test_a_set_is_found_by_name_and_title(self, name: str) -> None:
        assert REGISTRY.find(name)[0] == "otb100"

    def test_the_nearest_is_named(self) -> None:
        with pytest.raises(UserError, match="no dataset 'otb10' is registered; did you mean `otb100`"):
            REGISTRY.find("otb10")

    @pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"", b"- 1", b"coco: 1", b"[" * 1100])
    def test_a_broken_register(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "datasets.yaml").write_bytes(content)
        with pytest.raises(UserError, match=r"datasets\.yaml"):
            load_registry(tmp_path / "datasets.yaml")

    def test_no_register(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="does not exist; run in the project's top folder"):
            load_registry(tmp_path / "datasets.yaml")


class TestTheConfig:
    def data(self, **own: Any) -> Data:
        profile: dict[str, Any] = yaml.safe_load((REPOSITORY / "config" / "smoke.yaml").read_text(encoding="utf-8"))
        return parse(Data, profile["data"] | own, source="my.yaml")

    def test_a_set_of_the_register_lies_under_its_name(self) -> None:
        section = self.data(otb100={"source": "registry"}).otb100
        assert isinstance(section, RegistryCopy)
        assert section.root == "datasets/otb100"
        section = self.data(otb100={"source": "registry", "root": "/big/disk/otb100"}).otb100
        assert isinstance(section, RegistryCopy)
        assert section.root == "/big/disk/otb100"

    def test_or_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"otb100\.root: the last folder must bear the set's name, otb100"):
            self.data(otb100={"source": "registry", "root": "/big/disk/OTB"})

    def test_a_set_that_is_not_there_yet_says_how_to_get_it(self, tmp_path: Path) -> None:
        copy = RegistryCopy(source="registry", root=str(tmp_path / "otb100"))
        with pytest.raises(UserError, match=r"is not a folder.*; run `distillery fetch otb100`"):
            datasets.make("otb100", copy.model_dump_json(), tmp_path / "data" / "otb100.json")


class TestLayout:
    def test_marks(self, tmp_path: Path) -> None:
        (tmp_path / "a" / "img").mkdir(parents=True)
        (tmp_path / "a" / "b.txt").touch()
        assert holds(tmp_path, ["a/img", "x | a/b.txt", "a/*.txt"])
        assert lacking(tmp_path, ["a/img", "x | y", "*.txt"]) == ["x | y", "*.txt"]
        assert not holds(tmp_path / "none", [])

    def test_the_root_is_the_shallowest_folder_that_holds_all(self, tmp_path: Path) -> None:
        (tmp_path / "v1" / "data" / "frames").mkdir(parents=True)
        assert find_root(tmp_path, ["frames"]) == tmp_path / "v1" / "data"
        assert find_root(tmp_path, ["images"]) is None
        (tmp_path / "v1" / "more" / "frames").mkdir(parents=True)
        assert find_root(tmp_path, ["frames"]) is None  # which of both?
        (tmp_path / "frames").mkdir()
        assert find_root(tmp_path, ["frames"]) == tmp_path
