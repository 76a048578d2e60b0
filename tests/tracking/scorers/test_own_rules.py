"""What a benchmark's scorer does that no other does: absence, resets, missing rows, repetitions."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking import scoring
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.protocols import lasot
from distillery.tracking.scorers import one_pass
from distillery.tracking.scorers.base import Truth


class TestLaSOT:
    def root(self, folder: Path) -> Path:
        (folder / "annos" / "absent").mkdir(parents=True)
        (folder / "annos" / "att").mkdir()
        (folder / "testing_set.txt").write_text("cat-1\ncat-2\n")
        for name in ("cat-1", "cat-2"):
            (folder / "annos" / f"{name}.txt").write_text("10,10,10,10\n" * 4)
            (folder / "annos" / "absent" / f"{name}.txt").write_text("0\n0\n1\n1\n")
            (folder / "annos" / "att" / f"{name}.txt").write_text(",".join(["1"] + ["0"] * 13) + "\n")
            (folder / f"{name}.txt").write_text("10,10,10,10\n" * 4)
        return folder

    def test_absent_frames(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        metrics = scoring.score("lasot", root, root, allow_partial=True)
        assert metrics["protocol"] == "lasot/official"
        assert metrics["numbers"]["auc"] == pytest.approx(20 / 21 / 2)
        assert metrics["numbers"]["normalized_precision"] == 0.5
        assert metrics["by_attribute"]["IV"]["sequences"] == 2
        everything = scoring.score("lasot", root, root, protocol="got10k")
        assert everything["numbers"]["normalized_precision"] == 1.0

    def test_every_variant_knows_what_absence_means(self) -> None:
        assert {name for name, how in lasot.VARIANTS.items() if how.absent_fails} == {"official", "pysot", "pytracking"}


class TestVOT:
    """One sequence of sixty frames, written in the official layout with a single image for its size."""

    def root(self, folder: Path, frames: int = 60) -> Path:
        (folder / "bag" / "color").mkdir(parents=True)
        (folder / "list.txt").write_text("bag\n")
        (folder / "bag" / "groundtruth.txt").write_text("10,10,30,10,30,30,10,30\n" * frames)
        cv2.imwrite(str(folder / "bag" / "color" / "00000001.jpg"), np.zeros((48, 64, 3), dtype=np.uint8))
        runs = folder / "results" / "baseline" / "bag"
        runs.mkdir(parents=True)
        (runs / "bag_001.txt").write_text("1\n" + "10,10,20,20\n" * (frames - 1))
        return folder

    def test_the_interval_of_short_sequences(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        metrics = scoring.score("vot2019", root, root / "results")
        assert metrics["protocol"] == "vot/pysot"
        assert metrics["interval"] == {"low": 60, "high": 60, "source": "derived"}
        assert metrics["numbers"] == {"eao": 1.0, "accuracy": 1.0, "robustness": 0.0, "lost": 0.0}
        (root / "eao_interval.txt").write_text("20 40\n")
        given = scoring.score("vot2019", root, root / "results")
        assert given["interval"] == {"low": 20, "high": 40, "source": "eao_interval.txt"}

    @pytest.mark.parametrize("text", ["40 20\n", "20\n", "20 40\n20 40\n", "1.5 7\n", "0 7\n", "80 90\n", "a b\n", ""])
    def test_a_faulty_interval(self, tmp_path: Path, text: str) -> None:
        root = self.root(tmp_path)
        (root / "eao_interval.txt").write_text(text)
        with pytest.raises(UserError, match=r"eao_interval\.txt"):
            scoring.score("vot2019", root, root / "results")

    def test_repetitions(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        runs = root / "results" / "baseline" / "bag"
        (runs / "bag_002.txt").write_text("1\n" + "10,10,20,20\n" * 40 + "2\n" + "0\n" * 18)
        metrics = scoring.score("vot2019", root, root / "results")
        assert (metrics["numbers"]["lost"], metrics["counts"]["repetitions"]) == (0.5, 2)
        hashes = [sha256_of_file(runs / f"bag_00{number}.txt") for number in (1, 2)]
        assert metrics["inputs"]["results"] == sha256_of({"bag": hashes})

    def test_the_frame_size_must_be_known(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        shutil.rmtree(root / "bag" / "color")
        with pytest.raises(UserError, match="the frame size of bag, at which regions are cut, is not known"):
            scoring.score("vot2019", root, root / "results")

    def test_results_without_resets_are_refused(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        (root / "results" / "baseline" / "bag" / "bag_001.txt").write_text("10,10,20,20\n" * 60)
        with pytest.raises(UserError, match=r"bag_001\.txt, line 1: does not begin with the code 1"):
            scoring.score("vot2019", root, root / "results")


class TestTrackingNet:
    def results(self, folder: Path) -> tuple[Path, Path]:
        (folder / "truth").mkdir()
        (folder / "found").mkdir()
        for name in ("a_0", "b_0"):
            for place in ("truth", "found"):
                (folder / place / f"{name}.txt").write_text("10,10,10,10\n" * 4)
        return folder / "truth", folder / "found"

    def test_a_folder(self, tmp_path: Path) -> None:
        metrics = scoring.score("trackingnet", *self.results(tmp_path))
        assert metrics["protocol"] == "trackingnet/server"
        assert metrics["numbers"] == pytest.approx(
            {"auc": 1.0, "precision": 1.0, "normalized_precision": 1.0, "coverage": 1.0}
        )
        assert "note" not in metrics

    @pytest.mark.parametrize("rows", [3, 5])
    def test_rows_that_do_not_fit(self, tmp_path: Path, rows: int) -> None:
        truth, found = self.results(tmp_path)
        (found / "b_0.txt").write_text("10,10,10,10\n" * rows)
        with pytest.raises(UserError, match=rf"b_0\.txt: has {rows} rows for b_0, which has 4 frames"):
            scoring.score("trackingnet", truth, found)

    def test_short_and_absent_files_fail_where_partial_results_are_allowed(self, tmp_path: Path) -> None:
        truth, found = self.results(tmp_path)
        (found / "b_0.txt").write_text("10,10,10,10\n")
        (found / "a_0.txt").unlink()
        metrics = scoring.score("trackingnet", truth, found, allow_partial=True)
        assert metrics["counts"] == {"sequences": 2, "frames": 8, "missing": 1, "missing_rows": 3}
        assert metrics["per_sequence"]["a_0"]["coverage"] == 0.25


class TestGOT10k:
    def root(self, folder: Path) -> Path:
        sequence = folder / "val" / "GOT-10k_Val_000001"
        sequence.mkdir(parents=True)
        (folder / "val" / "list.txt").write_text("GOT-10k_Val_000001\n")
        (sequence / "groundtruth.txt").write_text("10,10,10,10\n" * 4)
        (sequence / "absence.label").write_text("0\n" * 4)
        (sequence / "cover.label").write_text("8\n8\n0\n8\n")
        (sequence / "meta_info.ini").write_text("[METAINFO]\nresolution: (100, 80)\n")
        return folder

    def test_repetitions_are_one_pool(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        folder = tmp_path / "results" / "GOT-10k_Val_000001"
        folder.mkdir(parents=True)
        (folder / "GOT-10k_Val_000001_001.txt").write_text("10,10,10,10\n" * 4)
        (folder / "GOT-10k_Val_000001_002.txt").write_text("10,10,10,5\n" * 4)
        (folder / "GOT-10k_Val_000001_time.txt").write_text("0.1,0.1\n" * 4)
        metrics = scoring.score("got10k", root, tmp_path / "results")
        assert metrics["protocol"] == "got10k/got10k"
        assert metrics["numbers"] == pytest.approx({"ao": 0.75, "sr_50": 0.5, "sr_75": 0.5})
        assert metrics["counts"] == {
            "sequences": 1,
            "frames": 4,
            "missing": 0,
            "repetitions": 2,
            "scored_frames": 4,
        }
        assert "note" not in metrics

    def test_one_file_a_sequence(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        (tmp_path / "results").mkdir()
        with pytest.raises(UserError, match="GOT-10k_Val_000001 of 1 sequences are missing"):
            scoring.score("got10k", root, tmp_path / "results")
        (tmp_path / "results" / "GOT-10k_Val_000001.txt").write_text("10,10,10,10\n" * 4)
        assert scoring.score("got10k", root, tmp_path / "results")["numbers"]["ao"] == 1.0

    def test_an_unknown_image_size_is_said(self, tmp_path: Path) -> None:
        root = self.root(tmp_path)
        (root / "val" / "GOT-10k_Val_000001" / "meta_info.ini").unlink()
        (tmp_path / "results").mkdir()
        (tmp_path / "results" / "GOT-10k_Val_000001.txt").write_text("10,10,10,10\n" * 4)
        metrics = scoring.score("got10k", root, tmp_path / "results")
        assert math.isclose(metrics["numbers"]["ao"], 1)
        assert "1 sequences are not cut to the image" in metrics["note"]


class TestPytracking:
    def test_negative_sizes_are_refused(self, tmp_path: Path) -> None:
        root = TestLaSOT().root(tmp_path)
        (root / "cat-2.txt").write_text("10,10,10,10\n10,10,0,0\n10,10,-5,-5\n10,10,10,10\n")
        refused = r"cat-2\.txt, line 3: holds a negative width or height, for which pytracking"
        with pytest.raises(UserError, match=refused):
            scoring.score("lasot", root, root, protocol="pytracking")
        scoring.score("lasot", root, root, protocol="official")

    def test_the_line_is_that_of_the_file(self, tmp_path: Path) -> None:
        """Rows of frames that the benchmark leaves out stand before the others (OTB-100's Tiger1)."""
        truth, file = tmp_path / "truth.txt", tmp_path / "Tiger1.txt"
        sequence = Sequence("Tiger1", (), np.full((3, 4), 9.0), truth, omitted=5)
        scored = Truth("otb100", tmp_path, [sequence], ["Tiger1"])
        for leading in (0, 5):
            file.write_text("1,1,-9,9\n" * leading + "9,9,9,9\n9,9,-1,9\n9,9,9,9\n")
            with pytest.raises(UserError, match=rf"Tiger1\.txt, line {leading + 2}: holds a negative"):
                one_pass.score(scored, tmp_path, "pytracking")
