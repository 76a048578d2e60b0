"""Two ranks learn what one process learns from the whole batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distillery import datasets
from ranks import together

SPEC = {"source": "embedded", "seed": 3, "train_sequences": 3, "train_frames": 4, "val_sequences": 1, "val_frames": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    datasets.make("got10k", json.dumps(SPEC), folder / "got10k.json")
    together("tracking.rank_work", "trackers", folder / "got10k.json", folder)
    return folder


@pytest.mark.parametrize("case", ["siamfc", "siamfc recorded", "siamrpn"])
def test_losses_gradients_and_parameters_are_those_of_one_process(folder: Path, case: str) -> None:
    found = json.loads((folder / f"{case}.json").read_text())
    assert found["ranks"] == []  # both ranks have the same bits
    assert max(found[what] for what in ("term", "gradient", "state")) < 1e-6, found
    assert found["terms"]["dim/sharing"] >= 0 and found["terms"]["dim/teacher_soft"] > 0
    gates = [found["terms"][f"{name}/gate"] for name in ("dim", "other" if case == "siamrpn" else "intelligent")]
    assert len(set(gates)) == 2  # some open, some closed
