from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from distillery.config.training import Compute
from distillery.engine.devices import prepare
from distillery.errors import UserError


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


def test_threads_and_determinism() -> None:
    device = prepare(Compute(device="cpu", threads=2))
    assert device.torch.type == "cpu"
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.backends.cudnn.benchmark


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"compute\.device.*asks for a GPU.*set it to cpu or auto"):
        prepare(Compute(device="cuda"))
    assert prepare(Compute(device="auto")).torch.type == "cpu"


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_precision_of_the_forward_pass(precision: str, dtype: torch.dtype) -> None:
    device = prepare(Compute(device="cpu", precision=precision))
    layer = torch.nn.Linear(2, 2)
    with device.autocast():
        assert layer(torch.ones(1, 2)).dtype == dtype
    assert layer.weight.dtype == torch.float32
