"""From a folder of results to metrics: what holds for every benchmark, on OTB-100's layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from distillery.errors import UserError
from distillery.files import sha256_of, sha256_of_file
from distillery.tracking import scoring
from distillery.tracking.benchmarks import registry


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
