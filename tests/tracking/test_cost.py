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


def test_packed_convolutions_are_counted_as_the_plain_ones(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = operations(prepare(saved, CPU).call)
    monkeypatch.setattr("distillery.tracking.siamfc.pack", lambda backbone, *_: backbone)
    assert packed == operations(prepare(saved, CPU).call)


def test_operations_of_a_frame_worked_by_hand(tmp_path: Path) -> None:
    """The published network on three crops of 255: AlexNet (96, 256, 384, 384, 256) with groups in conv2, 4 and 5."""
    made = build(SiamFCArchitecture(), SiamFCGeometry())
    checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
    convolutions = (
        96 * 123**2 * 3 * 11**2  # 255 -> 123, pooled to 61
        + 256 * 57**2 * 48 * 5**2  # 61 -> 57, pooled to 28
        + 384 * 26**2 * 256 * 3**2
        + 384 * 24**2 * 192 * 3**2
        + 256 * 22**2 * 192 * 3**2
    )
    correlation = 17**2 * 6**2 * 256
    # The rest, a thousandth, enlarges the response.
    found = operations(prepare(tmp_path / "net.safetensors", CPU).call)
    assert 3 * (convolutions + correlation) < found < 1.002 * 3 * (convolutions + correlation)
