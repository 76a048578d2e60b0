from __future__ import annotations

import json
import math
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking import scoring
from distillery.tracking.benchmarks import registry
from distillery.tracking.protocols import lasot, ope, vot

GOLDEN_KEYS = {"auc": "auc", "precision": "prec", "success_rate_50": "sr"}
every_protocol = pytest.mark.parametrize("protocol", ope.VARIANTS)


@pytest.fixture(scope="session")
def golden(real_data: Path) -> dict[str, dict[str, Any]]:
    return json.loads((real_data / "golden.json").read_text())


@every_protocol
def test_kcf_on_otb100_is_what_each_toolkit_computes(
    real_data: Path, real_otb: Path, golden: dict[str, dict[str, Any]], protocol: str
) -> None:
    metrics = scoring.score("otb100", real_otb, real_data / "results" / "OTB100" / "KCF", protocol=protocol)
    assert metrics["counts"] == {"sequences": 100, "frames": 59035, "missing": 0, "without_attributes": 0}
    for ours, theirs in GOLDEN_KEYS.items():
        # pytracking sums in float32
        assert metrics["numbers"][ours] == pytest.approx(golden["ope"]["OTB100/KCF"][protocol][theirs], abs=1e-7)


@every_protocol
def test_lighttrack_on_dtb70_is_what_each_toolkit_computes(
    real_data: Path, golden: dict[str, dict[str, Any]], protocol: str
) -> None:
    results = real_data / "results" / "DTB70" / "LightTrack"
    metrics = scoring.score("dtb70", real_data / "anno" / "DTB70", results, protocol=protocol)
    assert (metrics["counts"]["sequences"], metrics["counts"]["frames"]) == (70, 15777)
    assert len(metrics["by_attribute"]) == 11
    for ours, theirs in GOLDEN_KEYS.items():
        expected = golden["ope"]["DTB70/LightTrack"][protocol][theirs]
        assert metrics["numbers"][ours] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("tracker", ["NanoTrack", "DaSiamRPN"])
@pytest.mark.parametrize("protocol", vot.VARIANTS)
def test_vot2018_is_what_each_toolkit_computes(
    real_data: Path, golden: dict[str, dict[str, Any]], protocol: str, tracker: str
) -> None:
    metrics = scoring.score(
        "vot2018", real_data / "anno", real_data / "results" / "VOT2018" / tracker, protocol=protocol
    )
    expected = golden["vot"][f"VOT2018/{tracker}"]
    theirs = expected[protocol]
    numbers = metrics["numbers"]
    assert numbers["eao"] == pytest.approx(theirs["EAO"], abs=1e-7)  # both toolkits sum in float32
    assert numbers["accuracy"] == pytest.approx(theirs["A"], abs=1e-12)
    assert numbers["robustness"] == pytest.approx(theirs.get("R", theirs.get("R_failures_weighted")), abs=1e-12)
    assert numbers["lost"] == expected["pysot"]["LN"]
    assert metrics["interval"] == {"low": 100, "high": 356, "source": "official"}
    assert metrics["counts"] == {"sequences": 60, "frames": 21356, "missing": 0, "repetitions": 1, "untagged": 0}
    assert len(metrics["curves"]["expected_overlap"]) == 1500
    assert set(metrics["by_attribute"]) == {
        "camera_motion",
        "illum_change",
        "motion_change",
        "size_change",
        "occlusion",
        "empty",
    }
    json.dumps(metrics, allow_nan=False)


def test_vot_is_scored_fast(real_data: Path) -> None:
    """Accuracy, robustness and EAO of two trackers: 0.3 s on an idle machine, where pysot's compiled code takes 2 s."""
    trackers = [real_data / "results" / "VOT2018" / name for name in ("NanoTrack", "DaSiamRPN")]
    began = time.process_time()
    assert list(scoring.score_many("vot2018", real_data / "anno", trackers)) == trackers
    assert time.process_time() - began < 1.2


def test_trackingnet_is_what_the_server_computes(real_data: Path, golden: dict[str, dict[str, Any]]) -> None:
    folder = real_data / "trackingnet"
    archives = folder / "dummy_GT.zip", folder / "dummy_subm.zip"
    metrics = scoring.score("trackingnet", *archives, allow_partial=True)
    expected = golden["trackingnet"]["dummy"]
    for ours, theirs in {"auc": "success", "coverage": "coverage"}.items():
        assert 100 * metrics["numbers"][ours] == pytest.approx(expected[theirs], abs=1e-4)
    for name in ("precision", "normalized_precision"):
        assert 100 * metrics["numbers"][name] == pytest.approx(expected[name], abs=1e-4)
    assert metrics["missing"] == ["a9jgDU5THOU_0"]
    assert metrics["counts"] == {"sequences": 9, "frames": 4500, "missing": 1, "missing_rows": 48}
    assert metrics["note"] == "missing results count as failures, as on the server"
    with pytest.raises(UserError, match="a9jgDU5THOU_0 of 9 sequences are missing"):
        scoring.score("trackingnet", *archives)


@pytest.fixture(scope="session")
def real_lasot(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The annotations of 40 real sequences, and the results of a tracker that drifts, made up from them."""
    root = tmp_path_factory.mktemp("lasot")
    with tarfile.open(real_data / "anno" / "LaSOT_test280_annos.tar.gz") as archive:
        archive.extractall(root, filter="data")
    names = (real_data / "anno" / "lasot_testing_set.txt").read_text().split()
    (root / "testing_set.txt").write_text("\n".join(names[::7]) + "\n")
    results = root / "results"
    results.mkdir()
    for sequence in registry.load("lasot", root, need_frames=False):
        steps = np.arange(len(sequence))[:, None]
        boxes = np.round(sequence.truth + np.array([1, 0.5, 0, 0]) * np.minimum(steps / 20, 60) + [0, 0, 3, 2], 2)
        np.savetxt(results / f"{sequence.name}.txt", boxes, fmt="%.2f", delimiter=",")
    return root, results


# What pytracking's, got10k's and pysot's own functions compute for these results.
LASOT = {
    "pysot": (0.3873438047684195, 0.15017255105284907, 0.27170544383596995),
    "pytracking": (0.38736221194267273, 0.15017254650592804, 0.2717054486274719),
    "got10k": (0.3913869584413093, 0.15165649032487552, 0.3264042229666578),
}


@pytest.mark.parametrize("protocol", LASOT)
def test_lasot_is_what_each_toolkit_computes(real_lasot: tuple[Path, Path], protocol: str) -> None:
    metrics = scoring.score("lasot", *real_lasot, protocol=protocol)
    assert (metrics["counts"]["sequences"], metrics["counts"]["frames"]) == (40, 104623)
    numbers = metrics["numbers"]
    found = numbers["auc"], numbers["precision"], numbers["normalized_precision"]
    assert found == pytest.approx(LASOT[protocol], abs=1e-8)  # pytracking sums in float32


def test_speed_of_otb100(real_data: Path, real_otb: Path) -> None:
    """Six trackers, reading included; the bound leaves room for a slow machine (0.5 s on an idle one)."""
    results = real_data / "results" / "OTB100" / "KCF"
    began = time.process_time()
    for protocol in ope.VARIANTS:
        scoring.score("otb100", real_otb, results, protocol=protocol)
    assert time.process_time() - began < 3


@pytest.fixture
def scored(tmp_path: Path, write_otb: Callable[..., Path]) -> tuple[Path, Path]:
    """An embedded set and the results of a tracker that knows the answer."""
    root = write_otb(tmp_path / "root")
    results = tmp_path / "results"
    results.mkdir()
    for name in ("First001", "Second002"):
        shutil.copy(root / name / "groundtruth_rect.txt", results / f"{name}.txt")
    att = root / "anno" / "att"
    att.mkdir(parents=True)
    (att / "First001.txt").write_text("1,0,1,0,0,0,0,0,0,0,0\n")
    (att / "Second002.txt").write_text("0,0,1,0,0,0,0,0,0,0,0\n")
    return root, results


def test_the_metrics(scored: tuple[Path, Path]) -> None:
    root, results = scored
    (results / "Second002.txt").write_text("900,900,10,10\n" * 8)
    metrics = scoring.score("otb100", root, results)
    assert (metrics["benchmark"], metrics["protocol"]) == ("otb100", "ope/got10k")
    # One sequence is perfect (20/21); the other right in its first frame only, which counts as the truth.
    assert metrics["numbers"]["auc"] == pytest.approx((20 / 21) * (1 + 1 / 8) / 2)
    assert metrics["numbers"]["precision"] == pytest.approx((1 + 1 / 8) / 2)
    assert metrics["by_attribute"] == {
        "IV": {"auc": pytest.approx(20 / 21), "precision": 1.0, "normalized_precision": 1.0, "sequences": 1},
        "SV": {key: metrics["numbers"][key] for key in ("auc", "precision", "normalized_precision")} | {"sequences": 2},
    }
    assert metrics["per_sequence"]["Second002"]["precision"] == 1 / 8
    assert {name: len(curve) for name, curve in metrics["curves"].items()} == {
        "success": 21,
        "precision": 51,
        "normalized_precision": 51,
    }
    files = {name: sha256_of_file(results / f"{name}.txt") for name in ("First001", "Second002")}
    assert metrics["inputs"]["results"] == sha256_of(files)
    json.dumps(metrics, allow_nan=False)


def test_partial_results_are_counted(scored: tuple[Path, Path]) -> None:
    root, results = scored
    (results / "Second002.txt").unlink()
    with pytest.raises(UserError, match="Second002 of 2 sequences are missing"):
        scoring.score("otb100", root, results)
    metrics = scoring.score("otb100", root, results, allow_partial=True)
    assert metrics["missing"] == ["Second002"]
    assert metrics["counts"] == {"sequences": 1, "frames": 8, "missing": 1, "without_attributes": 0}
    shutil.rmtree(root / "First001")
    with pytest.raises(UserError, match="are missing"):
        scoring.score("otb100", root, results, allow_partial=True)


def test_images_are_not_needed(scored: tuple[Path, Path]) -> None:
    root, results = scored
    for images in root.glob("*/img"):
        shutil.rmtree(images)
    assert scoring.score("otb100", root, results)["numbers"]["auc"] == pytest.approx(20 / 21)


def test_nan_results_are_scored_by_the_one_protocol_that_says_how(scored: tuple[Path, Path]) -> None:
    root, results = scored
    lines = (results / "First001.txt").read_text().splitlines()
    lines[4] = "nan,nan,nan,nan"
    (results / "First001.txt").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"First001\.txt, line 5: holds 'nan'"):
        scoring.score("otb100", root, results)
    numbers = scoring.score("otb100", root, results, protocol="matlab")["per_sequence"]["First001"]
    assert 0.8 < numbers["auc"] < 20 / 21  # frame 5 is scored with the box of frame 4


def test_unknown_names(scored: tuple[Path, Path]) -> None:
    root, results = scored
    with pytest.raises(UserError, match="unknown tracking benchmark 'otb'"):
        scoring.score("otb", root, results)
    with pytest.raises(UserError, match=r"unknown protocol 'pytraking' of otb100; did you mean `pytracking`"):
        scoring.score("otb100", root, results, protocol="pytraking")
    with pytest.raises(UserError, match="unknown protocol 'got10k' of vot2019; did you mean `vottoolkit`"):
        scoring.score("vot2019", root, results, protocol="got10k")


def test_every_benchmark_has_a_scorer_with_a_default() -> None:
    assert set(scoring.SCORERS) == set(registry.BENCHMARKS)
    for benchmark in scoring.SCORERS:
        scorer = scoring._scorer(benchmark)
        assert scorer.DEFAULT in scorer.VARIANTS
        assert set(scoring.modules(benchmark)) == {registry.BENCHMARKS[benchmark], scoring.SCORERS[benchmark]}


def test_many_results_are_scored_as_each_alone(scored: tuple[Path, Path], tmp_path: Path) -> None:
    root, results = scored
    other = tmp_path / "other"
    shutil.copytree(results, other)
    (other / "Second002.txt").write_text("900,900,10,10\n" * 8)
    many = scoring.score_many("otb100", root, [results, other])
    assert many == {folder: scoring.score("otb100", root, folder) for folder in (results, other)}
    assert many[results]["inputs"]["truth"] == many[other]["inputs"]["truth"]
    assert many[results]["inputs"]["results"] != many[other]["inputs"]["results"]


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
        import cv2

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
