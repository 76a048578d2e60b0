from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest
import torch

from distillery.config.training import Compute
from distillery.engine.devices import note_threads, prepare, threads
from distillery.errors import UserError


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


def test_threads_and_determinism(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
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


@pytest.mark.parametrize(
    ("given", "expected"), [(None, 4), ("2", 2), ("8", 4), ("4", 4), ("0", 4), ("many", 4), ("2,1", 4)]
)
def test_never_more_threads_than_the_job_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str | None, expected: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    compute = Compute(device="cpu", threads=4)
    prepare(compute)
    assert torch.get_num_threads() == threads(compute) == expected
    assert cv2.getNumThreads() == 1
    note_threads(compute)
    assert ("threads: 2 of 4" in capsys.readouterr().err) == (expected == 2)
