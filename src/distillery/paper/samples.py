"""The one place where the paper stage looks at data and predictions rather than at numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from distillery.data.images import read_image
from distillery.data.manifest import dataset_root
from distillery.errors import UserError
from distillery.files import read_json
from distillery.paper.origin import Origin, origin_of
from distillery.person_search.benchmarks import registry as searching
from distillery.person_search.benchmarks.base import Protocol, SearchImage
from distillery.person_search.benchmarks.prw import camera_of
from distillery.person_search.predictions import Predictions, read_predictions
from distillery.person_search.protocol import DETECTION_THRESHOLD, iou, iou_threshold
from distillery.tracking.benchmarks import registry
from distillery.tracking.benchmarks.base import Sequence as Video
from distillery.tracking.boxes import to_pixels
from distillery.tracking.results import read_result, require_results

Pixels = npt.NDArray[np.uint8]
Box = npt.NDArray[np.float64]

__all__ = ["Pixels", "Protocol", "SearchImage", "Video", "read_image"]


def roots(manifests: Iterable[Path]) -> dict[str, Path]:
    """Folder of each dataset by benchmark, from the manifests beside them."""
    found = {}
    for manifest in manifests:
        value = read_json(manifest)
        name = value.get("benchmark") if isinstance(value, dict) else None
        if not isinstance(name, str):
            raise UserError(
                "is not a dataset's manifest", file=manifest, place="benchmark", remedy="run `distillery dataset` again"
            )
        found[name] = dataset_root(manifest)
    return found


def require_root(datasets: Mapping[str, Path], benchmark: str) -> Path:
    """The folder of one benchmark; a manifest that was not given is an error."""
    if benchmark not in datasets:
        raise UserError(f"no manifest of {benchmark} was given", remedy=f"pass data/<profile>/{benchmark}.json")
    return datasets[benchmark]


def videos(benchmark: str, root: Path) -> list[Video]:
    """A benchmark's sequences that can be scored here, with their frames."""
    return registry.load(benchmark, root)


def truth(video: Video) -> Box:
    """(N, 4) annotated boxes, left, top, width, height in array indices."""
    return to_pixels(video.truth, video.first_pixel)


def polygon(video: Video, frame: int) -> Box | None:
    """(4, 2) corners x, y of a frame's region in array indices; None where the benchmark has boxes."""
    if video.regions is None:
        return None
    return np.asarray(video.regions[frame].reshape(4, 2) - video.first_pixel)


def visible(video: Video, frame: int) -> bool:
    """Whether a frame's box is that of a visible target."""
    absent = getattr(video, "absent", None)
    box = video.truth[frame]
    return bool(np.isfinite(box).all() and (box[2:] > 0).all() and (absent is None or not absent[frame]))


def prediction_files(indices: Iterable[Path]) -> dict[tuple[str, str, int], Path]:
    """Predictions by benchmark, `model/variant` and seed, as their paths say; value is the index file."""
    found = {}
    for index in indices:
        origin: Origin = origin_of(index)
        found[origin.paper, origin.key, origin.seed] = index
    return found


def tracks(index: Path, chosen: Sequence[Video]) -> dict[str, Box]:
    """A tracker's boxes (N, 4) of one-pass evaluation, left, top, width, height in array indices, by sequence."""
    files = require_results(index.with_suffix(""), list(chosen))
    return {
        video.name: to_pixels(read_result(files[video.name], video, allow_nan=True), video.first_pixel)
        for video in chosen
    }


def search_pool(benchmark: str, root: Path) -> list[SearchImage]:
    """The test images with everybody annotated."""
    return searching.load_pool(benchmark, root).images


def protocol(benchmark: str, root: Path) -> Protocol:
    """The galleries that a benchmark's headline numbers are measured with."""
    return searching.load_protocol(benchmark, root)


def image_path(benchmark: str, root: Path, name: str) -> Path:
    """Where an image of a benchmark lies."""
    return searching.image_folder(benchmark, root) / name


def camera(image: str) -> int:
    """The camera of a PRW image, by its name."""
    return camera_of(image)


def search_predictions(index: Path) -> Predictions:
    """Person-search predictions of an index or of the .npz file itself."""
    return read_predictions(index.with_suffix(".npz"))


@dataclass(frozen=True)
class Match:
    """One place of a ranking.

    Attributes:
        image: File name of the gallery image.
        box: (4,) x1, y1, x2, y2 in pixels.
        similarity: Cosine of the features.
        hit: Whether it is the person who was asked for.
    """

    image: str
    box: Box
    similarity: float
    hit: bool


def ranking(galleries: Protocol, predictions: Predictions, query: int, top: int) -> list[Match]:
    """The most similar detections in a query's gallery, judged as the official protocol judges them.

    In each gallery image that shows the person, the most similar detection that overlaps enough is the hit
    (`person_search.protocol.search_scores`, variant "official").
    """
    feature = _unit(predictions.query_feature[query][None])[0]
    gallery = {entry.image: entry.box for entry in galleries.gallery(query)}
    rows = np.flatnonzero(
        (predictions.gallery_score >= DETECTION_THRESHOLD) & np.isin(predictions.gallery_image, list(gallery))
    )
    similarity = _unit(predictions.gallery_feature[rows]) @ feature
    order = np.argsort(-similarity, kind="stable")
    taken: set[str] = set()
    matches: list[Match] = []
    for place in order:
        row = rows[place]
        image, box = str(predictions.gallery_image[row]), predictions.gallery_box[row].astype(np.float64)
        wanted = gallery[image]
        hit = (
            wanted is not None
            and image not in taken
            and bool(iou(wanted, box) >= iou_threshold(np.asarray(wanted)[None])[0])
        )
        if hit:
            taken.add(image)
        matches.append(Match(image, box, float(similarity[place]), hit))
        if len(matches) == top:
            break
    return matches


def _unit(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1), np.float32)


T = TypeVar("T")


def spread(items: Sequence[T], count: int) -> list[T]:
    """`count` items at even distances from first to last; all of them if there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)]


def extremes(differences: Mapping[str, float]) -> list[tuple[str, str]]:
    """The rule by which examples are chosen: (what, name) of the largest, the median and the smallest difference.

    Equal differences are ordered by name; with fewer than three names each appears once.
    """
    ordered = sorted(differences, key=lambda name: (-differences[name], name))
    places = {"best": 0, "median": (len(ordered) - 1) // 2, "worst": len(ordered) - 1}
    chosen: dict[str, str] = {}
    for what, place in places.items():
        if ordered and ordered[place] not in chosen.values():
            chosen[what] = ordered[place]
    return list(chosen.items())
