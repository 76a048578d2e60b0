"""Reads the features and rows that `distillery feature-space` wrote."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distillery.errors import UserError

_MAX_BYTES = 256 * 2**20
_REMEDY = "run `distillery feature-space` again"


@dataclass(frozen=True)
class FeatureSpace:
    """What S networks make of K people with N boxes, and of M boxes of everybody in the same images.

    Attributes:
        networks: `method/variant` of each network.
        given: Whether its rows are a given, frozen table.
        identities: (K,) numbers of the people.
        rows: (S, K, D) their rows.
        ids: (N,) whose the boxes are, positions in `identities`.
        features: (S, N, D) of length 1.
        own: (S, M) cosine of a feature with its own row.
        other: (S, M) cosine with the nearest other row of the whole table.
        seed: Seed of the networks.
    """

    networks: tuple[str, ...]
    given: tuple[bool, ...]
    identities: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int64]
    features: npt.NDArray[np.float32]
    own: npt.NDArray[np.float32]
    other: npt.NDArray[np.float32]
    seed: int


def read_features(path: Path) -> FeatureSpace:
    """Reads the file.

    Raises:
        UserError: If it is missing, damaged, or its arrays do not fit each other.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise UserError(f"holds more than {_MAX_BYTES // 2**20} MB", file=path, remedy=_REMEDY)
        with np.load(path, allow_pickle=False) as file:
            space = FeatureSpace(
                networks=tuple(map(str, file["networks"])),
                given=tuple(map(bool, file["given"])),
                identities=file["identities"].astype(np.int64),
                rows=file["rows"].astype(np.float32),
                ids=file["ids"].astype(np.int64),
                features=file["features"].astype(np.float32),
                own=file["own"].astype(np.float32),
                other=file["other"].astype(np.float32),
                seed=int(file["seed"]),
            )
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="run `distillery feature-space` first") from error
    except KeyError as error:
        raise UserError("lacks an array of features", file=path, remedy=_REMEDY) from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError("is truncated or holds no features", file=path, remedy=_REMEDY) from error
    if not _fits(space):
        raise UserError("holds arrays that do not fit each other", file=path, remedy=_REMEDY)
    return space


def _fits(space: FeatureSpace) -> bool:
    count, people, boxes = len(space.networks), len(space.identities), len(space.ids)
    stacks = (space.rows, space.features, space.own, space.other)
    return (
        count > 0
        and people > 1
        and len(space.given) == count
        and space.rows.ndim == space.features.ndim == 3
        and space.rows.shape[:2] == (count, people)
        and space.features.shape == (count, boxes, space.rows.shape[2])
        and space.rows.shape[2] > 1
        and space.own.shape == space.other.shape
        and space.own.ndim == 2
        and space.own.shape[0] == count
        and space.own.shape[1] > 0
        and boxes > 0
        and bool(((space.ids >= 0) & (space.ids < people)).all())
        and all(bool(np.isfinite(stack).all()) for stack in stacks)
    )
