"""Real results on real annotations, scored to the numbers that the toolkits' own code gives; and how fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillery.data.archives import unpack
from distillery.errors import UserError
from distillery.tracking import scoring
from distillery.tracking.benchmarks import registry
from distillery.tracking.protocols import ope, vot

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


def test_vot_trackers_that_are_scored_together_keep_their_order(real_data: Path) -> None:
    trackers = [real_data / "results" / "VOT2018" / name for name in ("NanoTrack", "DaSiamRPN")]
    assert list(scoring.score_many("vot2018", real_data / "anno", trackers)) == trackers


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
    root = tmp_path_factory.mktemp("lasot") / "LaSOT"
    unpack(real_data / "anno" / "LaSOT_test280_annos.tar.gz", root)
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


@pytest.mark.parametrize("protocol", ope.VARIANTS)
def test_every_variant_scores_otb100(real_data: Path, real_otb: Path, protocol: str) -> None:
    metrics = scoring.score("otb100", real_otb, real_data / "results" / "OTB100" / "KCF", protocol=protocol)
    assert metrics["counts"]["sequences"] == 100
    assert 0 < metrics["numbers"]["auc"] < 1
