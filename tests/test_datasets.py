from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distillery import datasets
from distillery.config.data import Data, LocalCopy
from distillery.data.manifest import dataset_root
from distillery.errors import UserError

OTB = {"source": "embedded", "seed": 5, "sequences": 2, "frames": 3, "width": 96, "height": 80}
GOT = {
    "source": "embedded",
    "seed": 6,
    "train_sequences": 2,
    "train_frames": 3,
    "val_sequences": 1,
    "val_frames": 2,
    "width": 96,
    "height": 80,
}


def make(benchmark: str, spec: dict[str, Any], manifest: Path, **more: Any) -> Any:
    return datasets.make(benchmark, json.dumps(spec), manifest, **more)


@pytest.fixture(scope="module")
def otb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small embedded dataset which no test may change."""
    manifest = tmp_path_factory.mktemp("data") / "otb100.json"
    make("otb100", OTB, manifest)
    return manifest


class TestEmbedded:
    def test_writes_the_dataset_and_its_manifest(self, otb: Path) -> None:
        manifest = json.loads(otb.read_text())
        assert manifest["benchmark"] == "otb100"
        assert manifest["counts"]["sequences"] == 2
        assert manifest["counts"]["frames"] == 6
        root = dataset_root(otb)
        assert len(list(root.rglob("*.jpg"))) == 6
        assert sorted(path.name for path in otb.parent.iterdir()) == ["otb100", "otb100.check.json", "otb100.json"]
        assert datasets.check("otb100", root).ok

    def test_the_same_parameters_give_the_same_bytes(self, otb: Path, tmp_path: Path) -> None:
        calls: list[tuple[int, int]] = []
        for workers in (1, 2):
            manifest = tmp_path / "otb100.json"
            make("otb100", OTB, manifest, workers=workers, progress=lambda *counts: calls.append(counts))
            assert manifest.read_bytes() == otb.read_bytes()
        assert calls[-1] == (2, 2)

    def test_another_seed_gives_others(self, otb: Path, tmp_path: Path) -> None:
        make("otb100", {**OTB, "seed": 7}, tmp_path / "otb100.json")
        assert (tmp_path / "otb100.json").read_bytes() != otb.read_bytes()

    def test_got10k(self, tmp_path: Path) -> None:
        report = make("got10k", GOT, tmp_path / "got10k.json")
        assert (report.counts["train_frames"], report.counts["val_frames"]) == (6, 2)
        assert (dataset_root(tmp_path / "got10k.json") / "train" / "list.txt").is_file()

    @pytest.mark.parametrize(
        ("benchmark", "sizes", "images"),
        [
            ("dtb70", {"sequences": 2, "frames": 3}, 6),
            ("vot2018", {"sequences": 3, "frames": 6}, 18),
            ("vot2019", {"sequences": 3, "frames": 6}, 18),
            ("lasot", {"sequences": 2, "frames": 12}, 24),
            ("trackingnet", {"train_sequences": 2, "train_frames": 3, "test_sequences": 1, "test_frames": 4}, 10),
        ],
    )
    def test_the_other_tracking_benchmarks(
        self, tmp_path: Path, benchmark: str, sizes: dict[str, int], images: int
    ) -> None:
        spec = {"source": "embedded", "seed": 5, "width": 96, "height": 80, **sizes}
        manifest = tmp_path / f"{benchmark}.json"
        report = make(benchmark, spec, manifest)
        assert report.ok
        assert len(list(dataset_root(manifest).rglob("*.jpg"))) == images
        frames = [count for name, count in report.counts.items() if name.endswith("frames")]
        assert sum(frames) == images

    def test_a_failed_writing_leaves_no_manifest(
        self, otb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "otb100.json").write_bytes(otb.read_bytes())

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("distillery.data.worlds.otb100.write_otb100", fail)
        with pytest.raises(UserError, match="otb100: no space left on the disk"):
            make("otb100", OTB, tmp_path / "otb100.json")
        assert list(tmp_path.iterdir()) == []


class TestLocal:
    def local(self, root: Path) -> dict[str, str]:
        return {"source": "local", "root": str(root)}

    def test_is_linked_and_never_changed(self, otb: Path, tmp_path: Path) -> None:
        source = otb.with_suffix("")
        before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
        manifest = tmp_path / "data" / "otb100.json"
        for _ in range(2):  # the second time the link is there
            report = make("otb100", self.local(source), manifest)
            assert report.counts["sequences"] == 2
            assert dataset_root(manifest).is_symlink()
            assert manifest.read_bytes() == otb.read_bytes()
        assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before

    def test_embedded_data_replace_the_link_and_not_what_it_points_to(self, otb: Path, tmp_path: Path) -> None:
        manifest = tmp_path / "otb100.json"
        make("otb100", self.local(otb.with_suffix("")), manifest)
        make("otb100", {**OTB, "seed": 8, "sequences": 1}, manifest)
        assert not dataset_root(manifest).is_symlink()
        assert dataset_root(otb).is_dir()

    def test_a_real_folder_is_never_replaced_by_a_link(self, otb: Path, tmp_path: Path) -> None:
        (tmp_path / "otb100").mkdir()
        (tmp_path / "otb100" / "precious").write_text("x")
        local = self.local(otb.with_suffix(""))
        with pytest.raises(UserError, match=r"otb100: holds files, and otb100\.json beside it does not say"):
            make("otb100", local, tmp_path / "otb100.json")
        with pytest.raises(UserError, match="otb100: exists and is another dataset; move it away"):
            make("otb100", local, tmp_path / "otb100.json", replace=True)
        assert (tmp_path / "otb100" / "precious").exists()

    def test_a_missing_root(self, tmp_path: Path) -> None:
        with pytest.raises(UserError) as caught:
            make("cuhk_sysu", self.local(tmp_path / "none"), tmp_path / "cuhk_sysu.json")
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'none'}, data.cuhk_sysu.root: is not a folder")
        assert "correct the path in the config" in message
        assert list(tmp_path.iterdir()) == []

    def test_a_dangling_link_of_an_earlier_run(self, otb: Path, tmp_path: Path) -> None:
        (tmp_path / "otb100").symlink_to(tmp_path / "gone")
        make("otb100", self.local(otb.with_suffix("")), tmp_path / "otb100.json")
        assert (tmp_path / "otb100").resolve() == otb.with_suffix("").resolve()

    @pytest.mark.parametrize("taken", ["folder", "manifest", "file"])
    def test_what_a_user_keeps_there_is_not_lost(self, tmp_path: Path, taken: str) -> None:
        manifest, mine = tmp_path / "photos.json", tmp_path / "photos" / "mine.jpg"
        if taken == "folder":
            mine.parent.mkdir()
            mine.write_bytes(b"1")
        elif taken == "manifest":
            manifest.write_text('{"albums": 3}')
        else:
            mine = tmp_path / "photos"
            mine.write_bytes(b"1")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(UserError, match=r"choose another path for --out"):
            make("otb100", OTB, manifest)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
        if taken == "folder":
            make("otb100", OTB, manifest, replace=True)
            assert dataset_root(manifest) == mine.parent
            assert not mine.exists()

    @pytest.mark.parametrize("fault", ["truncated", "missing", "truth"])
    def test_faulty_data_get_no_manifest(self, tmp_path: Path, fault: str) -> None:
        source = tmp_path / "source.json"
        make("otb100", {**OTB, "sequences": 1}, source)
        root = dataset_root(source)
        image = sorted(root.rglob("*.jpg"))[1]
        if fault == "truncated":
            image.write_bytes(image.read_bytes()[:-200])
        elif fault == "missing":
            image.unlink()
        else:
            next(root.rglob("groundtruth_rect.txt")).write_text("1,2,3\n")
        manifest = tmp_path / "data" / "otb100.json"
        manifest.parent.mkdir()
        manifest.write_text('{"benchmark": "otb100"}')  # of an earlier, sound state
        said = r"does not pass its check: .*; see .*otb100\.check\.json for all, or `distillery check"
        with pytest.raises(UserError, match=said):
            make("otb100", self.local(root), manifest)
        assert not manifest.exists()
        if fault == "missing":
            with pytest.raises(UserError, match=r"lacks 1 of \d+ files, the first is"):
                dataset_root(source)


class TestYears:
    """VOT2018 and VOT2019 are read by one module, which must be told the year."""

    def test_a_folder_with_the_annotations_of_both(self, tmp_path: Path) -> None:
        for year, name in (("2018", "ants3"), ("2019", "agility")):
            (tmp_path / f"VOT{year}.json").write_text(json.dumps({name: {"gt_rect": [[1, 2, 3, 4]]}}))
        for benchmark, name in (("vot2018", "ants3"), ("vot2019", "agility")):
            report = datasets.check(benchmark, tmp_path)
            assert report.benchmark == benchmark
            assert [fault.split(": ")[1] for fault in report.faults] == [
                f"sequence {name} is missing; restore it from the official archive."
            ]

    def test_a_folder_with_the_annotations_of_the_other(self, tmp_path: Path) -> None:
        (tmp_path / "VOT2018.json").write_text(json.dumps({"ants3": {"gt_rect": [[1, 2, 3, 4]]}}))
        assert datasets.check("vot2019", tmp_path).counts["missing"] == 60
        assert datasets.check("vot2018", tmp_path).counts["missing"] == 1


class TestParameters:
    def test_an_unknown_benchmark(self, tmp_path: Path) -> None:
        for call in (lambda: make("vot", OTB, tmp_path / "x.json"), lambda: datasets.check("vot", tmp_path)):
            with pytest.raises(UserError, match="unknown benchmark 'vot'; choose one of got10k, otb100, dtb70"):
                call()

    @pytest.mark.parametrize(
        ("spec", "sentence"),
        [
            ({**OTB, "framez": 3}, r"framez: unknown key; did you mean `frames`"),
            ({**OTB, "frames": 1}, r"frames: .*greater than or equal to 2"),
            ({**OTB, "frames": "3"}, r"frames: .*integer"),
            ({"source": "local"}, r"root: a required key is missing"),
            ({**OTB, "source": "web"}, r"source: "),
            ([], "the whole document"),
        ],
    )
    def test_faulty_parameters(self, tmp_path: Path, spec: Any, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            make("otb100", spec, tmp_path / "otb100.json")
        assert list(tmp_path.iterdir()) == []

    def test_no_json(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="--params: is not valid JSON"):
            datasets.make("otb100", "{", tmp_path / "otb100.json")

    def test_the_config_has_every_dataset_and_only_the_necessary_are_required(self) -> None:
        assert set(Data.model_fields) == set(datasets.DATASETS)
        local = LocalCopy(source="local", root="/somewhere")
        data = Data(got10k=local, otb100=local, cuhk_sysu=local)
        assert data.names == ("got10k", "otb100", "cuhk_sysu")
        assert data.model_copy(update={"lasot": local}).names == ("got10k", "otb100", "lasot", "cuhk_sysu")

    def test_every_dataset_names_its_modules(self) -> None:
        for benchmark in datasets.DATASETS:
            names = datasets.modules(benchmark)
            assert names[0] == "distillery.datasets"
            assert len(names) == 2 + (datasets.DATASETS[benchmark].writer is not None)


def test_a_faulty_call_keeps_the_manifest(otb: Path, tmp_path: Path) -> None:
    """A typing error in the parameters says nothing about the dataset on the disk."""
    (tmp_path / "otb100.json").write_bytes(otb.read_bytes())
    with pytest.raises(UserError):
        make("otb100", {**OTB, "framez": 3}, tmp_path / "otb100.json")
    assert (tmp_path / "otb100.json").exists()
