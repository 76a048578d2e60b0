from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distillery.config.siamrpn import RPNInference, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.training import Compute
from distillery.engine import checkpoint
from distillery.engine.cost import operations
from distillery.tracking.rpn_cost import prepare
from distillery.tracking.siamrpn import SiamRPN, build

COMPACT = SiamRPNGeometry(exemplar=63, search=127, small_search=135, train_search=127, stride=4, anchor_scale=4)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    made = build(SiamRPNArchitecture(layout="compact", width=0.02), COMPACT)
    checkpoint.save(tmp_path / "net.safetensors", made, made.sidecar())
    return tmp_path / "net.safetensors"


def test_cost_is_that_of_one_frame(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    respond: Callable[..., Any] = SiamRPN.respond

    def spy(self: SiamRPN, kernels: Any, search: Tensor) -> Any:
        seen.append(tuple(search.shape))
        return respond(self, kernels, search)

    monkeypatch.setattr(SiamRPN, "respond", spy)
    step = prepare(saved, Compute(device="cpu"))
    for _ in range(3):
        step.call()
    assert seen == [(1, 3, 127, 127)] * 3
    assert step.description == "one frame: 1 crop of 127 px"


def test_operations_by_hand(saved: Path) -> None:
    """Channels 4, 10, 16, 16, 10 and 10 at the sides that a search crop of 127 px has without padding."""
    convolutions = [(3, 4, 5, 62), (4, 10, 5, 58), (10, 16, 3, 26), (16, 16, 3, 24), (16, 10, 3, 22)]
    heads = [(10, 10, 3, 20), (10, 10, 3, 20), (10, 10, 4, 17), (10, 20, 4, 17), (20, 20, 1, 17)]
    expected = sum(i * o * kernel**2 * side**2 for i, o, kernel, side in convolutions + heads)
    assert operations(prepare(saved, Compute(device="cpu")).call) == expected


def test_the_search_region_is_that_of_the_settings(saved: Path) -> None:
    small = prepare(saved, Compute(device="cpu"), RPNInference(small=0.1))
    ordinary = prepare(saved, Compute(device="cpu"), RPNInference(small=0.1, adaptive=False))
    assert small.description == "one frame: 1 crop of 135 px"
    assert ordinary.description == "one frame: 1 crop of 127 px"
    assert operations(small.call) > operations(ordinary.call)
