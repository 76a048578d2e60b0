from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking import scoring
from distillery.tracking.benchmarks.base import Sequence, read_boxes
from distillery.tracking.protocols import ope

GOLDEN_KEYS = {"auc": "auc", "precision": "prec", "success_rate_50": "sr"}
every_protocol = pytest.mark.parametrize("protocol", ope.VARIANTS)


@pytest.fixture(scope="session")
def golden(real_data: Path) -> dict[str, dict[str, dict[str, float]]]:
    return json.loads((real_data / "golden.json").read_text())["ope"]


@every_protocol
def test_kcf_on_otb100_is_what_each_toolkit_computes(
    real_data: Path, real_otb: Path, golden: dict[str, dict[str, dict[str, float]]], protocol: str
) -> None:
    metrics = scoring.score("otb100", real_otb, real_data / "results" / "OTB100" / "KCF", protocol=protocol)
    assert metrics["counts"] == {"sequences": 100, "frames": 59035, "missing": 0, "without_attributes": 0}
    for ours, theirs in GOLDEN_KEYS.items():
        # pytracking sums in float32
        assert metrics["numbers"][ours] == pytest.approx(golden["OTB100/KCF"][protocol][theirs], abs=1e-7)


@every_protocol
def test_lighttrack_on_dtb70_is_what_each_toolkit_computes(
    real_data: Path, golden: dict[str, dict[str, dict[str, float]]], protocol: str
) -> None:
    files = sorted((real_data / "anno" / "DTB70").glob("*.txt"))
    sequences = [Sequence(file.stem, (), read_boxes(file), file) for file in files]
    metrics = scoring.score_sequences(sequences, real_data / "results" / "DTB70" / "LightTrack", protocol=protocol)
    assert metrics["counts"]["frames"] == 15777
    for ours, theirs in GOLDEN_KEYS.items():
        expected = golden["DTB70/LightTrack"][protocol][theirs]
        assert metrics["numbers"][ours] == pytest.approx(expected, abs=1e-7)


def test_scoring_is_fast(real_data: Path, real_otb: Path) -> None:
    """Six trackers on OTB-100, reading included; the bound leaves room for a busy machine (0.5 s on an idle one)."""
    began = time.process_time()
    for protocol in ope.VARIANTS:
        scoring.score("otb100", real_otb, real_data / "results" / "OTB100" / "KCF", protocol=protocol)
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
        "IV": {"auc": pytest.approx(20 / 21), "precision": 1.0, "sequences": 1},
        "SV": {"auc": metrics["numbers"]["auc"], "precision": metrics["numbers"]["precision"], "sequences": 2},
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
    with pytest.raises(UserError, match="unknown benchmark 'otb'"):
        scoring.score("otb", root, results)
    with pytest.raises(UserError, match="unknown OPE protocol 'got'"):
        scoring.score("otb100", root, results, protocol="got")
