"""What a network costs: operations counted by torch, time as a median of repeated calls."""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import device as torch_device
from torch.utils.flop_counter import FlopCounterMode

from distillery.engine.devices import Device

CPU = torch_device("cpu")


class Step(NamedTuple):
    """One step of a network, ready to be called."""

    call: Callable[[], Any]
    """Does the step."""
    description: str
    """What it is ("one frame: 3 scales of 255 px")."""


def convention(device: Device) -> str:
    """How is measured on a prepared device, in words; the precision is that of its forward passes."""
    return (
        f"batch 1, {_precision(device)}; milliseconds are the median over repeated calls of the whole step from image "
        "to answer, the networks taking turns, image decoding excluded; one MAC is two floating-point operations"
    )


def _precision(device: Device) -> str:
    name = str(device.dtype).removeprefix("torch.")
    if device.dtype != torch.float32:
        return f"{name} by autocast"
    rounds = device.torch.type == "cuda" and torch.backends.cudnn.allow_tf32
    return f"{name} with TF32 convolutions" if rounds else name


def operations(call: Callable[[], Any]) -> int:
    """Multiply-accumulates of one call (convolutions and matrix products), on the CPU or a GPU."""
    with FlopCounterMode(display=False, custom_mapping=_uncounted()) as counter:
        call()
    return int(counter.get_total_flops()) // 2


def _uncounted() -> dict[Any, Any]:
    """Operations of ours that torch's counter passes over: oneDNN's convolution with packed weights."""
    packed = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    return {} if packed is None else {packed: _convolution}


def _convolution(_: Sequence[int], weight: Sequence[int], *__: Any, out_shape: Sequence[int], **___: Any) -> int:
    """Floating-point operations from the shapes of weight, (O, I / groups, h, w), and output."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def milliseconds(
    calls: Sequence[Callable[[], Any]], *, device: torch_device = CPU, rounds: int = 30, warmup: int = 2
) -> list[float]:
    """Median time of each call in milliseconds; a GPU is waited for.

    The calls take turns, round by round: a machine whose speed drifts drifts for all of them, and ratios hold. A turn
    begins with an untimed call, or a network would pay for the cache that its predecessor left.
    """
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    times: list[list[float]] = [[] for _ in calls]
    for index in range(warmup + rounds):
        for call, taken in zip(calls, times, strict=True):
            call()
            wait()
            began = time.perf_counter()
            call()
            wait()
            if index >= warmup:
                taken.append(1e3 * (time.perf_counter() - began))
    return [statistics.median(taken) for taken in times]


def machine(device: torch_device = CPU) -> dict[str, Any]:
    """Where it was measured: `device` is the one that computed, whatever else the machine has."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            return next(line.split(":", 1)[1].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
