"""Fixtures of the tracking tests: small benchmarks in the official layouts, and the real annotations written so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery.tracking.benchmarks.otb100_table import SEQUENCES
from distillery.tracking.naming import plain

WriteOTB = Callable[..., Path]


@pytest.fixture(scope="session")
def video() -> list[tuple[np.ndarray, list[float]]]:
    """Frames (H, W, 3) RGB with a textured square that moves over noise, and its 0-based box in each."""
    noise = np.random.default_rng(7)
    ground = noise.integers(60, 120, (96, 128, 3), dtype=np.uint8)
    patch = cv2.resize(noise.integers(0, 255, (5, 5, 3), dtype=np.uint8), (20, 16), interpolation=cv2.INTER_NEAREST)
    frames = []
    for step in range(8):
        x, y = 20 + 9 * step, 30 + 4 * step
        frame = ground.copy()
        frame[y : y + 16, x : x + 20] = patch
        frames.append((frame, [float(x), float(y), 20.0, 16.0]))
    return frames


@pytest.fixture
def write_otb(video: list[tuple[np.ndarray, list[float]]]) -> WriteOTB:
    """Writes a set in OTB-100 layout: `write_otb(root, names=("a", "b"))` with `sequences.txt`; boxes count from 1."""

    def write(root: Path, names: tuple[str, ...] = ("First001", "Second002")) -> Path:
        for name in names:
            images = root / name / "img"
            images.mkdir(parents=True)
            for number, (frame, _) in enumerate(video, 1):
                cv2.imwrite(str(images / f"{number:04d}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            rows = [f"{x + 1:.0f},{y + 1:.0f},{w:.0f},{h:.0f}" for _, (x, y, w, h) in video]
            (root / name / "groundtruth_rect.txt").write_text("\n".join(rows) + "\n")
        (root / "sequences.txt").write_text("\n".join(names) + "\n")
        return root

    return write


@pytest.fixture(scope="session")
def real_otb(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The annotations of all 100 real sequences in the official layout, without images."""
    root = tmp_path_factory.mktemp("OTB100")
    annotations = json.loads((real_data / "anno" / "OTB2015.json").read_text())
    boxes = {plain(name): entry["gt_rect"] for name, entry in annotations.items()}
    for entry in SEQUENCES.values():
        file = f"groundtruth_rect.{entry.target}.txt" if entry.target else "groundtruth_rect.txt"
        (root / entry.folder).mkdir(exist_ok=True)
        rows = [",".join(map(str, row)) for row in boxes[plain(entry.name)]]
        (root / entry.folder / file).write_text("\n".join(rows) + "\n")
    return root
