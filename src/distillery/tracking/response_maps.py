"""The command `distillery response-maps`: what SiamFC networks say of a few search regions, for a figure.

Per network and region it keeps the score map, and the map that the Siamese Target Response loss compares: the
activation of a layer weighed by the correlation with the exemplar (`distill.losses.response_maps`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from distillery.config.distillation import Distillation
from distillery.config.siamfc import SiamFCGeometry
from distillery.data.images import read_image
from distillery.data.manifest import dataset_root
from distillery.distill.losses import response_maps
from distillery.errors import UserError
from distillery.files import atomic_file
from distillery.tracking.benchmarks import otb100
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.boxes import to_pixels, xywh_to_centre
from distillery.tracking.crops import context_side, crop, mean_colour
from distillery.tracking.siamfc import SiamFC, load

SEQUENCES = 3
"""Sequences shown, at even distances in the benchmark's order."""
GAP = 5
"""Frames by which the region's centre lags behind the frame, so that the target is not simply in the middle."""
LAYER = Distillation().layers[-1]
"""Layer whose target response is shown: the last that the loss compares by default."""


class Region(NamedTuple):
    """One pair as a tracker would see it.

    Attributes:
        name: "SEQUENCE, frame NUMBER", counted from 1.
        exemplar: (z, z, 3) uint8 of the first frame.
        search: (x, x, 3) uint8.
        box: (4,) left, top, width, height of the annotated box in pixels of the search region.
        gap: Frames between the region's centre and the frame.
    """

    name: str
    exemplar: npt.NDArray[np.uint8]
    search: npt.NDArray[np.uint8]
    box: npt.NDArray[np.float64]
    gap: int


def write_response_maps(checkpoints: Mapping[str, Path], manifest: Path, out: Path) -> None:
    """Computes the maps and writes one .npz without pickled objects; equal inputs give equal bytes.

    Args:
        checkpoints: SiamFC checkpoints `…/seed<k>.safetensors` by `model/variant`; all have one geometry.
        manifest: Of OTB-100; its folder lies beside it.
        out: File to write: `networks` (N,), `frames` (K,), `search` (K, x, x, 3) uint8, `box` (K, 4), `score`
            (N, K, R, R), `target` (N, K, H, H), `layer`, `gap` and `seed`.

    Raises:
        UserError: If an input is missing or damaged, or the networks see other crops or are of different seeds.
    """
    if not checkpoints:
        raise UserError("no checkpoint was given", place="--checkpoints", remedy="pass MODEL/VARIANT=CHECKPOINT")
    seed = _one_seed(checkpoints)
    networks = {name: load(path) for name, path in checkpoints.items()}
    geometry = next(iter(networks.values())).geometry
    for name, network in networks.items():
        if network.geometry != geometry:
            raise UserError(
                "sees crops of other sizes than the first network",
                file=checkpoints[name],
                remedy="compare one geometry",
            )
    regions = [region(video, geometry) for video in _spread(otb100.load(dataset_root(manifest)))]
    maps = [_maps(network, regions) for network in networks.values()]
    arrays = {
        "networks": np.array(list(networks)),
        "frames": np.array([one.name for one in regions]),
        "search": np.stack([one.search for one in regions]),
        "box": np.stack([one.box for one in regions]),
        "score": np.stack([score for score, _ in maps]),
        "target": np.stack([target for _, target in maps]),
        "layer": np.array(LAYER),
        "gap": np.array(max(one.gap for one in regions)),
        "seed": np.array(seed),
    }
    with atomic_file(out) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def _one_seed(checkpoints: Mapping[str, Path]) -> int:
    seeds = {}
    for path in checkpoints.values():
        found = re.fullmatch(r"seed(\d+)", path.stem)
        if not found:
            raise UserError("its name does not say its seed", file=path, remedy="pass files named seed<k>.safetensors")
        seeds[int(found[1])] = path
    if len(seeds) > 1:
        raise UserError("is of another seed than the first", file=list(seeds.values())[1], remedy="compare one seed")
    return next(iter(seeds))


def _spread(videos: list[Sequence]) -> list[Sequence]:
    places = np.linspace(0, len(videos) - 1, min(SEQUENCES, len(videos)))
    return [videos[round(place)] for place in places]


def region(video: Sequence, geometry: SiamFCGeometry) -> Region:
    """The exemplar of the first frame, and the region of the middle frame around where the target was before."""
    boxes = to_pixels(video.truth, video.first_pixel)
    middle = len(video) // 2
    gap = min(GAP, middle)
    first, frame = read_image(video.frames[0]), read_image(video.frames[middle])
    x, y, width, height = xywh_to_centre(boxes[0])
    side = context_side(width, height, geometry.context)
    exemplar = crop(first, (float(x), float(y)), side, geometry.exemplar, mean_colour(first))
    x, y, width, height = xywh_to_centre(boxes[middle - gap])
    side = context_side(width, height, geometry.context) * geometry.search / geometry.exemplar
    search = crop(frame, (float(x), float(y)), side, geometry.search, mean_colour(frame))
    scale = geometry.search / side
    left, top, width, height = boxes[middle]
    centre = (geometry.search - 1) / 2
    box = np.array([(left - x) * scale + centre, (top - y) * scale + centre, width * scale, height * scale])
    return Region(f"{video.name}, frame {middle + 1}", exemplar, search, box, gap)


@torch.inference_mode()
def _maps(network: SiamFC, regions: list[Region]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Score (K, R, R) and target response (K, H, H) of every region."""
    score, exemplar, search = network(
        _tensor([one.exemplar for one in regions]), _tensor([one.search for one in regions]), (LAYER,)
    )
    _, target = response_maps(exemplar[LAYER], search[LAYER], template=Distillation().template)
    return score.float().numpy(), target.reshape(len(regions), *search[LAYER].shape[2:]).float().numpy()


def _tensor(crops: list[npt.NDArray[np.uint8]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
