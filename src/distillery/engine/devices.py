"""Where a job computes: device, threads, precision, and the settings that make its bytes repeatable."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import device as torch_device
from torch import dtype as torch_dtype

from distillery.config.training import Compute
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

    Raises:
        UserError: If a GPU is asked for and there is none.
    """
    if compute.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "asks for a GPU, but torch finds none on this machine",
            file="config",
            place="compute.device",
            remedy="set it to cpu or auto",
        )
    use_cuda = compute.device == "cuda" or (compute.device == "auto" and torch.cuda.is_available())
    # Sums are split by thread, so the number of threads is part of the result.
    torch.set_num_threads(compute.threads)
    # cuBLAS of older torch is deterministic only with a fixed workspace.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Some operations (RoIAlign backward on a GPU) have no deterministic form: they warn and are listed in the docs.
    # This spelling, unlike `use_deterministic_algorithms`, does not import the compiler (seconds in every job).
    torch.set_deterministic_debug_mode("warn")
    # That mode would fill every new tensor with NaN to show who reads it unset: a tenth of a step. The tests that
    # compare bytes show it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    return Device(torch.device("cuda" if use_cuda else "cpu"), _PRECISIONS[compute.precision])
