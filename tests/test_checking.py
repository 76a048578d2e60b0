"""The command `distillery check`, what a failing dataset says, and files that may not be read."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import scipy.io

from distillery import check_commands, cli, datasets
from distillery.config.registry import load_registry
from distillery.data.check_counts import OFFICIAL
from distillery.data.check_report import CheckOptions
from distillery.data.manifest import dataset_root
from distillery.errors import UserError
from distillery.files import read_json, sha256_of
from person_search import builders

OTB = {"source": "embedded", "seed": 5, "sequences": 3, "frames": 4, "width": 96, "height": 80}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of a small embedded dataset which no test may change."""
    manifest = tmp_path_factory.mktemp("data") / "otb100.json"
    datasets.make("otb100", json.dumps(OTB), manifest)
    return manifest


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset_root(made), tmp_path / "otb100"))


class TestCommand:
    def call(self, root: Path, *more: str) -> int:
        return cli.main(["check", "--benchmark", "otb100", "--root", str(root), *more])

    def test_both_reports(self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        image = sorted(root.rglob("*.jpg"))[2]
        image.write_bytes(image.read_bytes()[:500])
        out, page = tmp_path / "r.json", tmp_path / "r.md"
        assert self.call(root, "--out", str(out), "--markdown", str(page), "--workers", "1") == 1
        said = capsys.readouterr().out.splitlines()
        fault = f"{image.relative_to(root)}: is truncated."
        assert f"fault: {fault}" in said and f"report: {out}" in said and said[-1] == f"{root}: 1 fault"
        assert read_json(out)["faults"] == [fault] and read_json(out)["images"] == {"listed": 12, "decoded": 11}
        assert f"- {fault}" in page.read_text()
        first = out.read_bytes()
        assert self.call(root, "--out", str(out)) == 1
        assert out.read_bytes() == first

    def test_a_second_time_it_says_that_nothing_changed(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("DISTILLERY_CACHE", str(tmp_path / "cache"))
        for options, words in (
            ([], "checked in"),
            ([], "unchanged since it was checked"),
            (["--fresh"], "checked in"),
            (["--images", "sample"], "checked in"),
        ):
            assert self.call(root, *options) == 0
            assert words in capsys.readouterr().out

    def test_absence_and_official_counts(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.call(root, "--counts", "official") == 1
        assert "fault: the root: holds 3 sequences, the official set 100" in capsys.readouterr().out
        shutil.rmtree(next(path for path in root.iterdir() if path.is_dir() and path.name != "anno"))
        assert self.call(root) == 1
        assert self.call(root, "--allow-partial") == 0
        assert capsys.readouterr().out.endswith(f"{root}: no fault, 1 absence allowed\n")

    def test_every_dataset_can_be_named(self) -> None:
        assert set(check_commands.SETS) == set(datasets.DATASETS)
        assert set(OFFICIAL) <= set(datasets.DATASETS)

    def test_the_register_and_the_check_agree(self, repository: Path) -> None:
        """The same official numbers under the register's names and the check's."""
        registered = load_registry(repository / "config" / "datasets.yaml").sets
        names = {
            "otb100": {"frames": "scored_frames"},
            "lasot": {"sequences": "test_sequences", "frames": "test_frames"},
            "cuhk_sysu": {"queries_TestG100": "queries"},
            "prw": {"queries_prw": "queries"},
        }
        compared = 0
        for benchmark, counts in OFFICIAL.items():
            for name, (accepted, _) in counts.items():
                other = names.get(benchmark, {}).get(name, name)
                if other in registered[benchmark].counts:
                    assert registered[benchmark].counts[other] in accepted, (benchmark, name)
                    compared += 1
        assert compared >= 20


class TestDataset:
    def local(self, root: Path, manifest: Path) -> None:
        datasets.make("otb100", json.dumps({"source": "local", "root": str(root)}), manifest)

    def test_the_report_lies_beside_the_manifest_and_names_the_content(self, made: Path) -> None:
        report = read_json(datasets.report_file(made))
        assert datasets.report_file(made).name == "otb100.check.json"
        assert report["ok"] and report["options"] == {"images": "full", "counts": "any", "allow_partial": False}
        assert report["content"] == sha256_of(read_json(made)["files"])

    def test_it_is_the_same_for_the_same_content(self, made: Path, root: Path, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        self.local(root, tmp_path / "other" / "otb100.json")
        assert (tmp_path / "other" / "otb100.check.json").read_bytes() == datasets.report_file(made).read_bytes()

    def test_a_failing_one_says_the_first_faults_and_where_the_others_are(self, root: Path, tmp_path: Path) -> None:
        for image in sorted(root.rglob("*.jpg"))[:5]:
            image.write_bytes(b"")
        manifest = tmp_path / "data" / "otb100.json"
        with pytest.raises(UserError) as caught:
            self.local(root, manifest)
        message = str(caught.value)
        assert message.count("is not a JPEG or PNG image") == 3 and "(and 2 more)" in message and "\n" not in message
        assert f"see {datasets.report_file(manifest)} for all" in message
        report = read_json(datasets.report_file(manifest))
        assert not report["ok"] and len(report["faults"]) == 5 and "content" not in report
        assert not manifest.exists()

    def test_a_later_failure_leaves_no_report_of_before(self, root: Path, tmp_path: Path) -> None:
        manifest = tmp_path / "data" / "otb100.json"
        self.local(root, manifest)
        with pytest.raises(UserError, match="is not a folder"):
            self.local(tmp_path / "gone", manifest)
        assert not datasets.report_file(manifest).exists() or not manifest.exists()

    def test_what_the_projects_register_fetches_must_be_the_official_set(self, root: Path, tmp_path: Path) -> None:
        spec = {"source": "registry", "root": str(root)}
        with pytest.raises(UserError, match="the root: holds 3 sequences, the official set 100"):
            datasets.make("otb100", json.dumps(spec), tmp_path / "one" / "otb100.json")
        datasets.make("otb100", json.dumps(spec | {"registry": "own.yaml"}), tmp_path / "two" / "otb100.json")

    def test_links_without_end_are_found_before_anything_is_hashed(self, root: Path, tmp_path: Path) -> None:
        (root / "around").symlink_to(root)
        with pytest.raises(UserError, match="around: is a link to a folder around it, which has no end"):
            self.local(root, tmp_path / "data" / "otb100.json")


@pytest.fixture
def nobody() -> Iterator[Callable[[], None]]:
    """Turns this process into one of a user who may not read everything; it is root again afterwards."""
    before = os.geteuid()

    def become() -> None:
        if before == 0:
            os.seteuid(65534)

    yield become
    if before == 0:
        os.seteuid(0)


class TestForbidden:
    @pytest.fixture
    def open_root(self, root: Path) -> Iterator[Path]:
        """The set in a folder that others may enter."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        yield Path(shutil.copytree(root, folder / "otb100"))
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)

    @pytest.mark.parametrize("images", ["full", "none"])
    def test_each_is_one_fault_and_the_check_goes_on(
        self, open_root: Path, nobody: Callable[[], None], images: str
    ) -> None:
        one, two, three = sorted(path.name for path in open_root.iterdir() if (path / "img").is_dir())
        (open_root / one / "img" / "0002.jpg").chmod(0)
        (open_root / two / "groundtruth_rect.txt").chmod(0)
        (open_root / three).chmod(0)
        nobody()
        report = datasets.run_check("otb100", open_root, CheckOptions(images=images)).report  # type: ignore[arg-type]
        assert sorted(fault.split(" (")[0].split("; ")[0] for fault in report.faults) == [
            f"{one}/img/0002.jpg: cannot be read",
            f"{two}/groundtruth_rect.txt: cannot be read",
            f"{three}: cannot be read",
        ]
        assert report.decoded == (3 if images == "full" else 0)

    def test_a_root_that_may_not_be_entered(self, open_root: Path, nobody: Callable[[], None]) -> None:
        open_root.chmod(0)
        nobody()
        report = datasets.check("otb100", open_root)
        assert report.faults and all("\n" not in fault for fault in report.faults)
        assert any("cannot be read (Permission denied)" in fault for fault in report.faults)


class TestPersonSearch:
    def odd(self, benchmark: str, root: Path) -> dict[str, int]:
        report = datasets.check(benchmark, root)
        return {name: oddity.seen for name, oddity in report.oddities.items() if oddity.seen}

    def test_cuhk_sysu(self, tmp_path: Path) -> None:
        root = builders.write_root(tmp_path / "set")
        assert self.odd("cuhk_sysu", root) == {"box_in_bytes": 2, "box_without_area": 1}
        box = (60, 20, 40, 100)
        builders.write_protocol(
            root,
            3,
            [
                ("s3.jpg", (200, 20, 80, 150), [("s4.jpg", box), ("s4.jpg", box), ("s5.jpg", None)]),
                ("s6.jpg", (150, 20, 40, 100), [("s6.jpg", (150, 20, 40, 100)), ("s4.jpg", None), ("s3.jpg", None)]),
            ],
        )
        assert self.odd("cuhk_sysu", root) == {
            "box_in_bytes": 2,
            "box_without_area": 1,
            "positive_twice": 1,
            "own_image": 1,
        }

    def test_without_images_mat_the_labelled_people_are_looked_at(self, tmp_path: Path) -> None:
        root = builders.write_root(tmp_path / "set")
        (root / "annotation/Images.mat").unlink()
        report = datasets.run_check("cuhk_sysu", root, CheckOptions(allow_partial=True)).report
        assert report.ok and report.decoded == 4
        builders.write_protocol(root, 2, [("s3.jpg", (280, 20, 80, 150), [("s4.jpg", None), ("s5.jpg", None)])])
        (root / "annotation/test/train_test/TestG3.mat").unlink()
        (fault,) = datasets.run_check("cuhk_sysu", root, CheckOptions(allow_partial=True)).report.faults
        assert fault == "Image/SSM/s3.jpg: box [280, 20, 360, 170] is outside the image (300 x 200 pixels)."

    def test_prw(self, tmp_path: Path) -> None:
        root = builders.write_prw_root(tmp_path / "set")
        (root / "frames/Thumbs.db").touch()
        assert self.odd("prw", root) == {
            "key_anno_file": 3,
            "key_anno_previous": 2,
            "negative_coordinate": 1,
            "fractional_coordinate": 5,
            "unlabelled": 2,
            "id_twice": 1,
            "gap_in_ids": 3,
            "line_ends_crlf": 1,
            "stray_file": 1,
        }

    @pytest.mark.parametrize("benchmark", ["cuhk_sysu", "prw"])
    def test_matlab_files_of_the_wrong_kind_are_each_one_fault(self, tmp_path: Path, benchmark: str) -> None:
        root = {"cuhk_sysu": builders.write_root, "prw": builders.write_prw_root}[benchmark](tmp_path / "set")
        hostile = [b"", b"MATLAB 7.3 MAT-file" + b"\0" * 200, b"PK\3\4", b"\x80\4K\1."]
        files = sorted(root.rglob("*.mat"))[:5]
        for file, content in zip(files, hostile, strict=False):
            file.write_bytes(content)
        files[-1].unlink()
        files[-1].mkdir()
        report = datasets.check(benchmark, root)
        for file in files:
            assert sum(fault.startswith(f"{file.relative_to(root)}") for fault in report.faults) == 1, report.faults
        scipy.io.savemat(files[0], {"Img": [1.0, 2.0], "box_new": ["text"]})
        assert any(
            fault.startswith(f"{files[0].relative_to(root)}") for fault in datasets.check(benchmark, root).faults
        )
