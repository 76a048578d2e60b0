from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.config.training import Compute
from distillery.engine import checkpoint
from distillery.engine.cost import operations
from distillery.tracking.cost import prepare
from distillery.tracking.siamfc import build

CPU = Compute(device="cpu")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    geometry = SiamFCGeometry(exemplar=63, search=127, train_search=119, response_scale=0.02)
    made = build(SiamFCArchitecture(layout="compact", width=0.05), geometry)
    checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
    return tmp_path / "net.safetensors"


def test_every_scale_is_a_pass_through_the_network(saved: Path) -> None:
    one, three, five = (prepare(saved, CPU, SiamFCInference(scales=scales)) for scales in (1, 3, 5))
    assert operations(three.call) == pytest.approx(3 * operations(one.call), rel=0.01)
    assert operations(five.call) == pytest.approx(5 * operations(one.call), rel=0.01)
    assert one.description == "one frame: 1 scale of 127 px"
    assert five.description == "one frame: 5 scales of 127 px"


def test_the_published_settings_are_the_default(saved: Path) -> None:
    assert prepare(saved, CPU).description == "one frame: 3 scales of 127 px"
