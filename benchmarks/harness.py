"""What the benchmark scripts share: peers' clones, fair timing, a video to track, tables."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distillery.engine.cost import machine

Image = npt.NDArray[np.uint8]

PEERS = {
    "siamfc-pytorch": ("DISTILLERY_SIAMFC_PYTORCH", "https://github.com/huanglianghua/siamfc-pytorch"),
    "got10k": ("DISTILLERY_GOT10K_TOOLKIT", "https://github.com/got-10k/toolkit"),
    "pysot": ("DISTILLERY_PYSOT", "https://github.com/STVIR/pysot"),
    "seqnet": ("DISTILLERY_SEQNET", "https://github.com/serend1p1ty/SeqNet"),
}
"""Peer -> environment variable that holds the path of its clone, and where it comes from."""


def arguments(description: str, *, peers: Sequence[str] = ()) -> argparse.ArgumentParser:
    """A parser with what every script takes."""
    parser = argparse.ArgumentParser(description=description.split("\n\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch and OpenCV (default: 1)")
    parser.add_argument("--rounds", type=int, default=7, help="timed turns of each candidate (default: 7)")
    for name in peers:
        variable, source = PEERS[name]
        parser.add_argument(
            f"--{name}",
            dest=name,
            metavar="CLONE",
            default=os.environ.get(variable),
            help=f"a clone of {source} (or set {variable}); left out without one",
        )
    return parser


def begin(options: argparse.Namespace) -> None:
    """Applies `--threads` and prints where and how is measured."""
    torch.set_num_threads(options.threads)
    if (cv2 := opencv()) is not None:
        cv2.setNumThreads(options.threads)
    print(f"`{' '.join([Path(sys.argv[0]).name, *_shown(sys.argv[1:])])}`\n")
    print(environment(getattr(options, "device", "cpu")) + "\n")


def environment(device: str = "cpu") -> str:
    """One sentence: the GPU if that is what computes, processor, cores, threads, versions, load."""
    found, cv2 = machine(torch.device(device)), opencv()
    vision = "" if cv2 is None else f"OpenCV {cv2.__version__}, "
    gpu = f"{found['device']}, " if found["device"] != "cpu" else ""
    return (
        f"{gpu}{found['processor']}, {os.cpu_count()} cores, {found['threads']} thread(s), "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"{vision}NumPy {np.__version__}; load {os.getloadavg()[0]:.1f} at the start."
    )


def opencv() -> Any:
    """OpenCV, or None: what runs on networks alone does without."""
    try:
        return importlib.import_module("cv2")
    except ImportError:
        return None


def _shown(words: Sequence[str]) -> list[str]:
    # Paths differ from machine to machine and say nothing.
    return ["CLONE" if "/" in word else word for word in words]


def add_clone(path: str | Path) -> str:
    """Puts a peer's clone on the import path.

    Returns:
        Its commit's first seven digits, or "unknown commit".
    """
    folder = Path(path).resolve()
    if not folder.is_dir():
        sys.exit(f"{folder} is not a folder; clone the peer there")
    sys.path.insert(0, str(folder))
    git = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=False
    )
    inside = (folder / ".git").exists()
    return git.stdout.strip() if git.returncode == 0 and inside else "unknown commit"


class Node(dict[str, Any]):
    """Stand-in for `yacs.config.CfgNode`: a dict whose items are attributes."""

    def __init__(self, values: Mapping[str, Any] | None = None, **_options: Any) -> None:
        super().__init__(values or {})

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def merge(self, values: Mapping[str, Any]) -> None:
        """Sets nested values."""
        for name, value in values.items():
            if isinstance(value, Mapping) and isinstance(self.get(name), Node):
                self[name].merge(value)
            else:
                self[name] = value


def pysot_config(path: str | Path) -> tuple[Any, str]:
    """pysot's global config on the CPU, and its commit.

    Where they are absent, yacs (its config) and colorama (its log) are stood in for; NumPy gets back the alias
    `float`, which pysot uses and NumPy dropped.
    """
    commit = add_clone(path)
    if not hasattr(np, "float"):
        np.float = float  # type: ignore[attr-defined]
    stand_in("yacs.config", CfgNode=Node)
    stand_in("colorama", Fore=types.SimpleNamespace(), Style=types.SimpleNamespace())
    config = importlib.import_module("pysot.core.config").cfg
    config.CUDA = False
    return config, commit


def stand_in(name: str, **attributes: Any) -> None:
    """Registers a module of these attributes under `name`, unless the real one can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(".".join(parts[:depth])))
        for attribute, value in attributes.items():
            setattr(sys.modules[name], attribute, value)


def interleaved(candidates: Mapping[str, Callable[[], Any]], rounds: int, *, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of every call; the candidates take turns, so that a machine's drift meets them all.

    Args:
        candidates: Names and what to time.
        rounds: Timed turns.
        warm: Untimed turns before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    wait: Callable[[], None] = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    for turn in range(warm + rounds):
        for name, call in candidates.items():
            wait()
            began = time.perf_counter()
            call()
            wait()
            if turn >= warm:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times faster: the median over turns of the ratio within a turn."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def video(frames: int, *, width: int = 480, height: int = 360, seed: int = 0) -> tuple[list[Image], list[list[float]]]:
    """A textured patch that drifts over a textured ground.

    Returns:
        RGB frames and boxes (x, y, w, h in 0-based pixels).
    """
    cv2 = opencv()
    noise = np.random.default_rng(seed)
    ground = cv2.resize(noise.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8), (width, height))
    patch = cv2.resize(noise.integers(0, 256, (8, 8, 3), dtype=np.uint8), (48, 40))
    images, boxes = [], []
    for step in range(frames):
        x = round((width - 48) * (0.5 + 0.3 * np.sin(step / 17)))
        y = round((height - 40) * (0.5 + 0.3 * np.cos(step / 23)))
        image = ground.copy()
        image[y : y + 40, x : x + 48] = patch
        images.append(image)
        boxes.append([float(x), float(y), 48.0, 40.0])
    return images, boxes


@torch.no_grad()
def settle(network: torch.nn.Module, forward: Callable[[], Any]) -> None:
    """Gives every BatchNorm the statistics of a forward, so that random weights make features of a usual size."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.train()
    for norm in norms:
        norm.momentum = 1.0
    forward()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference relative to the largest magnitude."""
    return float((one - other).abs().max() / other.abs().max())


def require_parity(name: str, found: float, limit: float = 1e-4) -> None:
    """Prints a difference with the same weights; stops where it is too large for a comparison of speed."""
    print(f"{name}: with the same weights the outputs differ by {found:.1e} of their largest magnitude.\n")
    if found > limit:
        sys.exit(f"{name}: the networks are not the same (limit {limit:.0e})")
