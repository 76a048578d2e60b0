"""The same commands on real frames: three OTB sequences that lie beside the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distillery.cli import main
from distillery.config.tracking import SiamFCArchitecture, SiamFCGeometry
from distillery.engine import checkpoint
from distillery.engine.randomness import seed_torch
from distillery.tracking.siamfc import SiamFC


@pytest.fixture
def otb(real_data: Path) -> Path:
    return real_data / "OTB"


@pytest.mark.parametrize("baseline", ["static", "ncc"])
def test_trivial_trackers_on_real_sequences(otb: Path, tmp_path: Path, baseline: str) -> None:
    results, out = tmp_path / baseline, tmp_path / "metrics.json"
    root = ["--benchmark", "otb100", "--root", str(otb), "--allow-partial"]
    assert main(["track", *root, "--baseline", baseline, "--results", str(results)]) == 0
    assert main(["score", *root, "--results", str(results), "--out", str(out)]) == 0
    metrics = json.loads(out.read_text())
    assert sorted(metrics["per_sequence"]) == ["Crossing", "Jogging-1", "Jogging-2"]
    # 97 of the hundred are not there, and the answer says so.
    assert metrics["counts"]["missing"] == 97
    # Template matching follows these targets for most of the time, a box that never moves does not.
    assert (metrics["numbers"]["auc"] > 0.5) == (baseline == "ncc")


def test_a_partial_benchmark_is_refused_unless_allowed(
    otb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ["--benchmark", "otb100", "--root", str(otb)]
    assert main(["track", *root, "--baseline", "static", "--results", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "97" in said and "--allow-partial" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_network_runs_on_real_sequences(otb: Path, tmp_path: Path) -> None:
    """An untrained network need not follow anything; it must run on real frame sizes and write official results."""
    seed_torch(0, "real")
    network = SiamFC(SiamFCArchitecture(width=0.03), SiamFCGeometry())
    weights = tmp_path / "net.safetensors"
    checkpoint.save(weights, network, network.sidecar())
    one = tmp_path / "OTB"
    one.mkdir()
    (one / "Crossing").symlink_to(otb / "Crossing")
    root = ["--benchmark", "otb100", "--root", str(one), "--allow-partial"]
    assert main(["track", *root, "--checkpoint", str(weights), "--results", str(tmp_path / "tracked")]) == 0
    rows = (tmp_path / "tracked" / "Crossing.txt").read_text().splitlines()
    assert len(rows) == 120
    assert [float(value) for value in rows[0].split(",")] == [205, 151, 17, 50]
