"""Where a job computes: device, threads, precision, and the settings that make its bytes repeatable."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

import cv2
import torch
from torch import device as torch_device
from torch import dtype as torch_dtype

from distillery.config.training import Compute
from distillery.engine import distributed, slots
from distillery.errors import UserError

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Device:
    """A prepared device.

    Attributes:
        torch: The device that tensors live on.
        dtype: Type of the forward pass under `autocast`.
    """

    torch: torch_device
    dtype: torch_dtype

    def autocast(self) -> AbstractContextManager[object]:
        """Context of the forward pass; does nothing in float32."""
        return torch.autocast(self.torch.type, self.dtype, enabled=self.dtype != torch.float32)


def prepare(compute: Compute) -> Device:
    """Applies a `Compute` section to this process.

    On a machine with several GPUs the process takes one of its own (`slots`), unless CUDA_VISIBLE_DEVICES says which.

    Raises:
        UserError: If a GPU is asked for and there is none, or there are fewer than ranks on this machine.
    """
    if compute.device != "cpu":
        _take_gpus()
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "asks for a GPU, but torch finds none on this machine",
            file="config",
            place="compute.device",
            remedy="set it to cpu or auto",
        )
    use_cuda = compute.device == "cuda" or (compute.device == "auto" and torch.cuda.is_available())
    # Sums are split by thread, so the number of threads is part of the result.
    torch.set_num_threads(threads(compute))
    # Images are read by threads of our own; OpenCV would add one a core to each.
    cv2.setNumThreads(1)
    # cuBLAS of older torch is deterministic only with a fixed workspace.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Some operations (RoIAlign backward on a GPU) have no deterministic form: they warn and are listed in the docs.
    # This spelling, unlike `use_deterministic_algorithms`, does not import the compiler (seconds in every job).
    torch.set_deterministic_debug_mode("warn")
    # That mode would fill every new tensor with NaN to show who reads it unset: a tenth of a step. The tests that
    # compare bytes show it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    where = torch_device("cuda" if use_cuda else "cpu")
    if use_cuda and distributed.world() > 1:
        where = _of_rank()
    distributed.connect(gpus=use_cuda)
    return Device(where, _PRECISIONS[compute.precision])


def threads(compute: Compute) -> int:
    """CPU threads of this process: the config's, or OMP_NUM_THREADS if that is fewer.

    Snakemake sets the variable to the threads that it has for a job, fewer than the job asked for where `--cores` is
    small, and torchrun to 1 where nobody has set it.
    """
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if not allowed.isdecimal() or not 0 < int(allowed) < compute.threads:
        return compute.threads
    return int(allowed)


def note_threads(compute: Compute) -> None:
    """Says so where a job has fewer threads than its config asks for: its sums may differ in the last digits."""
    if threads(compute) < compute.threads and distributed.first():
        print(
            f"threads: {threads(compute)} of {compute.threads} (OMP_NUM_THREADS); sums may differ in the last digits",
            file=sys.stderr,
        )


def _take_gpus() -> None:
    """Lets this process see GPUs of its own alone; before torch looks for them, which it does once."""
    if slots.VISIBLE in os.environ:
        return
    found = slots.named()
    if found is None:
        found = [str(index) for index in range(torch.cuda.device_count())]
    if not found:
        return
    if distributed.world() == 1:
        taken = slots.take(found)
    else:
        # The first rank of each machine takes as many as there are ranks on it.
        key, local = f"gpus/{os.environ.get('GROUP_RANK', '0')}", os.environ.get("LOCAL_RANK", "0")
        if local == "0":
            wanted = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
            distributed.notes().set(key, ",".join(slots.take(found, wanted)))
        taken = [name for name in distributed.notes().get(key).decode().split(",") if name]
    if taken:
        os.environ[slots.VISIBLE] = ",".join(taken)


def _of_rank() -> torch_device:
    """The GPU of this rank among those that its machine's ranks see."""
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise UserError(
            f"{os.environ.get('LOCAL_WORLD_SIZE')} processes were started on a machine where torch finds {there} GPUs",
            place="torchrun --nproc-per-node",
            remedy="start one process a GPU, or set compute.device to cpu",
        )
    torch.cuda.set_device(local)
    return torch_device("cuda", local)
