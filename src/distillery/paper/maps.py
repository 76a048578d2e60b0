"""Reads the response maps that `distillery response-maps` wrote."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.errors import UserError

_REMEDY = "run `distillery response-maps` again"
_MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class ResponseMaps:
    """What some networks say of some search regions.

    Attributes:
        networks: (N,) `model/variant` of each.
        frames: (K,) "SEQUENCE, frame NUMBER" of each region.
        search: (K, S, S, 3) uint8, the regions.
        box: (K, 4) left, top, width, height of the annotated box in pixels of the region.
        score: (N, K, R, R) scores.
        target: (N, K, H, H) correlation-weighted activation of one layer.
        layer: That layer.
        gap: How many frames before the region's centre is taken from.
        seed: Seed of the networks.
    """

    networks: tuple[str, ...]
    frames: tuple[str, ...]
    search: npt.NDArray[np.uint8]
    box: npt.NDArray[np.float64]
    score: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    layer: int
    gap: int
    seed: int


def read_maps(path: Path) -> ResponseMaps:
    """Reads the file.

    Raises:
        UserError: If it is missing, damaged, or its arrays do not fit each other.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise UserError(f"holds more than {_MAX_BYTES // 2**20} MB", file=path, remedy=_REMEDY)
        with np.load(path, allow_pickle=False) as file:
            maps = ResponseMaps(
                networks=tuple(map(str, file["networks"])),
                frames=tuple(map(str, file["frames"])),
                search=file["search"].astype(np.uint8),
                box=file["box"].astype(np.float64),
                score=file["score"].astype(np.float32),
                target=file["target"].astype(np.float32),
                layer=int(file["layer"]),
                gap=int(file["gap"]),
                seed=int(file["seed"]),
            )
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="run `distillery response-maps` first") from error
    except KeyError as error:
        raise UserError("lacks an array of response maps", file=path, remedy=_REMEDY) from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError("is truncated or holds no response maps", file=path, remedy=_REMEDY) from error
    count = (len(maps.networks), len(maps.frames))
    fits = (
        count[0] > 0
        and count[1] > 0
        and maps.search.ndim == 4
        and maps.search.shape[0] == count[1]
        and maps.search.shape[3] == 3
        and maps.box.shape == (count[1], 4)
        and all(stack.ndim == 4 and stack.shape[:2] == count for stack in (maps.score, maps.target))
        and all(np.isfinite(stack).all() for stack in (maps.score, maps.target, maps.box))
    )
    if not fits:
        raise UserError("holds arrays that do not fit each other", file=path, remedy=_REMEDY)
    return maps
