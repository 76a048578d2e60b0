"""What is measured where; the numbers themselves are checked beside the modules that measure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from distillery import profiling
from distillery.config.base import parse
from distillery.config.profiling import Inference, Profiling
from distillery.config.siamfc import SiamFCInference
from distillery.config.siamrpn import RPNInference
from distillery.config.training import Compute
from distillery.engine.cost import Step
from distillery.errors import UserError
from distillery.files import read_json
from distillery.paper.costs import read_compute
from distillery.tracking.families import FAMILIES


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """Networks that are not there: what was asked of their modules."""
    found: list[tuple[str, str, Any]] = []

    def prepare(path: Path, compute: Compute, inference: Any) -> Step:
        found.append((path.name, compute.device, inference))
        return Step(lambda: torch.zeros(2, 3) @ torch.zeros(3, 5), "one product")

    monkeypatch.setattr(profiling, "import_module", lambda name: SimpleNamespace(prepare=prepare))
    monkeypatch.setattr(
        profiling.checkpoint,
        "load_sidecar",
        lambda path, kind: {"kind": path.name, "parameter_count": 3, "bytes": 12},
    )
    return found


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Test GPU")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)


CHECKPOINTS = {"siamfc/teacher": Path("siamfc"), "oim/small": Path("oim")}


def measured(tmp_path: Path, compute: Compute, inference: Inference | None = None) -> Any:
    profiling.profile_networks(CHECKPOINTS, compute, tmp_path / "compute.json", inference)
    read_compute(tmp_path / "compute.json")  # what the tables read
    return read_json(tmp_path / "compute.json")


def test_without_a_gpu_only_the_cpu_is_measured(tmp_path: Path, asked: list[Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = measured(tmp_path, Compute())
    assert set(found) == {"convention", "machine", "networks"}
    assert found["machine"]["device"] == "cpu"
    assert set(found["networks"]["oim/small"]) == {"parameters", "bytes", "macs", "milliseconds", "fps", "step"}
    assert found["networks"]["oim/small"]["macs"] == 2 * 3 * 5
    with pytest.raises(UserError, match="asks for a GPU"):
        measured(tmp_path, Compute(device="cuda"))


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_with_a_gpu_both_are_measured(tmp_path: Path, asked: list[Any], device: Any) -> None:
    found = measured(tmp_path, Compute(device=device))
    assert [where for _, where, _ in asked] == ["cpu", "cpu", "cuda", "cuda"]
    assert (found["machine"]["device"], found["gpu"]["machine"]["device"]) == ("cpu", "Test GPU")
    for name in CHECKPOINTS:
        assert found["gpu"]["networks"][name].keys() == {"milliseconds", "fps"}
        assert found["networks"][name]["milliseconds"] > 0


@pytest.mark.usefixtures("gpu")
def test_device_cpu_leaves_a_gpu_out(tmp_path: Path, asked: list[Any]) -> None:
    found = measured(tmp_path, Compute(device="cpu", precision="bfloat16"))
    assert "gpu" not in found
    assert found["machine"]["device"] == "cpu"
    assert found["convention"].startswith("batch 1, bfloat16 by autocast; ")


def test_trackers_are_measured_with_the_settings_of_the_profile(tmp_path: Path, asked: list[Any]) -> None:
    five = SiamFCInference(scales=5)
    measured(tmp_path, Compute(device="cpu"), Inference(siamfc=five))
    assert asked == [("siamfc", "cpu", five), ("oim", "cpu", None)]


def test_the_jobs_parameters() -> None:
    assert set(Inference.model_fields) == set(FAMILIES)
    assert parse(Profiling, {"device": "cpu"}, source="test").inference == Inference()
    job = parse(Profiling, {"threads": 2, "inference": {"siamrpn": {"kind": "rpn", "window": 0.3}}}, source="test")
    assert job.threads == 2
    assert job.inference == Inference(siamrpn=RPNInference(window=0.3))
    with pytest.raises(UserError, match="siamfc"):
        parse(Profiling, {"inference": {"siamfc": {"kind": "rpn"}}}, source="test")
