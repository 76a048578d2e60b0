"""One seed, many streams: every generator derives from the job's seed by name.

Nothing draws from a generator that lives across steps. What a step needs derives from (seed, names, step), so a
resumed run meets the same numbers as an uninterrupted one without saving any generator state.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream `names` of `seed`; the same on every machine."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream `names` of `seed`."""
    return np.random.Generator(np.random.PCG64(derive(seed, *names)))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU torch generator for the stream `names` of `seed`."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *names))


def seed_torch(seed: int, *names: str | int) -> None:
    """Seeds torch's global generators, for library code (initialisers, samplers) that offers no other way."""
    import torch

    torch.manual_seed(derive(seed, *names))
