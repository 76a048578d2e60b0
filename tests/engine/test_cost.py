from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from distillery.engine import cost
from distillery.engine.devices import Device


def test_operations_of_a_convolution_and_a_matrix_product() -> None:
    convolution = nn.Conv2d(4, 8, 3, groups=2)
    image = torch.zeros(1, 4, 10, 10)
    # 8x8 positions, 8 filters, 3x3 kernel, 2 channels of a group.
    assert cost.operations(lambda: convolution(image)) == 8 * 8 * 8 * 9 * 2
    assert cost.operations(lambda: torch.zeros(2, 3) @ torch.zeros(3, 5)) == 2 * 3 * 5
    assert cost.operations(lambda: None) == 0


def test_milliseconds_is_the_median_without_the_warm_up() -> None:
    # Warm-up calls are slow, and one outlier comes later: neither shows in a median.
    # Every second call is the untimed one that begins a turn.
    timed = [0.05, 0.05, 0.002, 0.002, 0.002, 0.04, 0.002]
    naps = iter([nap for duration in timed for nap in (0.001, duration)])
    found = cost.milliseconds([lambda: time.sleep(next(naps))], rounds=5, warmup=2)
    assert 2 <= found[0] < 30
    with pytest.raises(StopIteration):
        next(naps)


def test_networks_take_turns() -> None:
    order: list[str] = []
    cost.milliseconds([lambda: order.append("a"), lambda: order.append("b")], rounds=3, warmup=1)
    assert order == ["a", "a", "b", "b"] * 4


def test_the_machine_is_described() -> None:
    machine = cost.machine()
    assert set(machine) == {"device", "processor", "threads", "torch"}
    assert machine["torch"] == torch.__version__
    assert machine["processor"]
    assert machine["device"] == "cpu"


class TestOnAGPU:
    """On a machine that has one; only what torch says about it is stood in for."""

    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        waited: list[str] = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Test GPU")
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waited.append("wait"))
        return waited

    def test_a_cpu_is_not_called_by_the_name_of_a_gpu_beside_it(self) -> None:
        assert cost.machine(torch.device("cpu"))["device"] == cost.machine()["device"] == "cpu"
        assert cost.machine(torch.device("cuda"))["device"] == "Test GPU"

    def test_a_gpu_is_waited_for_where_it_computes(self, gpu: list[str]) -> None:
        cost.milliseconds([lambda: None], rounds=1, warmup=0)
        assert not gpu
        cost.milliseconds([lambda: gpu.append("call")], device=torch.device("cuda"), rounds=1, warmup=0)
        assert gpu == ["call", "wait", "call", "wait"]


@pytest.mark.parametrize(
    ("where", "dtype", "tf32", "expected"),
    [
        ("cpu", torch.float32, True, "batch 1, float32; "),
        ("cpu", torch.bfloat16, True, "batch 1, bfloat16 by autocast; "),
        ("cuda", torch.float32, True, "batch 1, float32 with TF32 convolutions; "),
        ("cuda", torch.float32, False, "batch 1, float32; "),
        ("cuda", torch.float16, True, "batch 1, float16 by autocast; "),
    ],
)
def test_the_convention_names_the_precision(
    where: str, dtype: torch.dtype, tf32: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    assert cost.convention(Device(torch.device(where), dtype)).startswith(expected)
