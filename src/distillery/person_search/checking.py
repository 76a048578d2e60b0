"""Whether a CUHK-SYSU root is whole: what `distillery check --benchmark cuhk_sysu` says, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from distillery.data.checking import CheckReport, decoded_size
from distillery.errors import UserError
from distillery.person_search.benchmarks import cuhk_protocols, cuhk_sysu
from distillery.person_search.benchmarks.base import Protocol

_SAMPLE = 200
_SIDE_SLACK = 1.0  # boxes are stored 1-based, so a box that ends with the image may end one pixel beyond it

_Boxes = dict[str, NDArray[np.float32]]
_Value = TypeVar("_Value")


def check(root: Path, *, images: Literal["full", "sampled"] = "full") -> CheckReport:
    """Checks layout, annotation files, their agreement, and the images.

    Args:
        root: A folder in CUHK-SYSU's layout.
        images: "full" decodes every image, "sampled" about 200 of them evenly spread (all must exist in either case).

    Returns:
        The report; nothing that is wrong with the data raises.
    """
    report = CheckReport("cuhk_sysu", Path(root))
    if not report.root.is_dir():
        report.faults.append(f"{root}: does not exist or is not a folder.")
        return report

    boxes = _attempt(report, lambda: cuhk_sysu.load_boxes(report.root))
    pool = _attempt(report, lambda: cuhk_sysu.load_pool(report.root))
    people = _attempt(report, lambda: cuhk_sysu.train_people(report.root))
    sizes = _attempt(report, lambda: cuhk_sysu.gallery_sizes(report.root)) or []
    protocols = [_attempt(report, partial(cuhk_sysu.load_protocol, report.root, size)) for size in sizes]

    if boxes is not None:
        report.counts["images"] = len(boxes)
        report.counts["boxes"] = sum(map(len, boxes.values()))
    if pool is not None:
        report.counts["test_images"] = len(pool)
        if len(set(pool)) != len(pool):
            report.faults.append(f"{root / cuhk_sysu.POOL}: lists {len(pool) - len(set(pool))} images twice.")
    if boxes is not None and pool is not None:
        report.counts["train_images"] = len(boxes.keys() - set(pool))
        _unknown(report, report.root / cuhk_sysu.POOL, pool, boxes, "Images.mat")
    if people is not None:
        report.counts["train_identities"] = len(people)
        if boxes is not None:
            _check_people(report, people, boxes, set(pool or ()))
    whole = [protocol for protocol in protocols if protocol is not None]
    _check_protocols(report, whole, boxes, pool)
    _check_subsets(report, whole[:1], boxes)
    if boxes is not None:
        _check_images(report, boxes, images)
    return report


def _attempt(report: CheckReport, load: Callable[[], _Value]) -> _Value | None:
    """The loaded value, or None with the reason among the faults."""
    try:
        return load()
    except UserError as error:
        report.faults.append(str(error))
        return None


def _unknown(report: CheckReport, file: Path, names: Iterable[str], known: Iterable[str], where: str) -> None:
    """Reports the names that are not known, in one sentence."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        report.faults.append(f"{file}: names {len(unknown)} images that {where} lacks ({unknown[0]} for one).")


def _check_people(
    report: CheckReport, people: list[list[tuple[str, NDArray[np.float32]]]], boxes: _Boxes, pool: set[str]
) -> None:
    file = report.root / cuhk_sysu.TRAIN
    seen = [(name, box) for scenes in people for name, box in scenes]
    _unknown(report, file, (name for name, _ in seen), boxes, "Images.mat")
    if shared := {name for name, _ in seen} & pool:
        report.faults.append(f"{file}: {len(shared)} of its images are in the test pool ({min(shared)} for one).")
    _note_unmatched(report, file, seen, boxes)
    if lonely := sum(not scenes for scenes in people):
        report.faults.append(f"{file}: {lonely} people appear in no image.")


def _note_unmatched(
    report: CheckReport, file: Path, seen: Iterable[tuple[str, NDArray[np.float32]]], boxes: _Boxes
) -> None:
    """Notes labelled boxes that equal no box of Images.mat: loaders leave such people unlabelled."""
    unmatched = sum(name in boxes and not (boxes[name] == box).all(axis=1).any() for name, box in seen)
    if unmatched:
        report.notes.append(f"{file}: {unmatched} labelled boxes equal no box of Images.mat and stay without identity.")


def _check_protocols(
    report: CheckReport, protocols: list[Protocol], boxes: _Boxes | None, pool: list[str] | None
) -> None:
    for protocol in protocols:
        file = cuhk_sysu.protocol_file(report.root, protocol.gallery_size)
        report.counts[f"queries_{protocol.name}"] = len(protocol.queries)
        short = int((np.diff(protocol.offsets) != protocol.gallery_size).sum())
        if short:
            report.faults.append(f"{file}: {short} queries have no gallery of {protocol.gallery_size} images.")
        if pool is not None:
            _unknown(report, file, protocol.images, pool, "pool.mat")
        if boxes is not None:
            _unknown(report, file, (query.image for query in protocol.queries), boxes, "Images.mat")
            _note_unmatched(report, file, ((n, box) for n, box, _ in cuhk_sysu.test_appearances(protocol)), boxes)
        without = len(protocol.queries) - len(_queries_with_positives(protocol))
        if without:
            report.notes.append(f"{file}: {without} queries have no positive; they score 0.")
        try:
            cuhk_sysu.check_same_queries(protocols[0], protocol)
        except UserError as error:
            report.faults.append(f"{file}: {error}")


def _check_subsets(report: CheckReport, protocols: list[Protocol], boxes: _Boxes | None) -> None:
    for name, (path, _) in cuhk_protocols.SUBSETS.items():
        subset = _attempt(report, partial(cuhk_sysu.load_subset, report.root, name))
        if subset is None:
            continue
        report.counts[f"queries_{name}"] = len(subset.queries)
        if boxes is not None:
            _unknown(report, report.root / path, (query.image for query in subset.queries), boxes, "Images.mat")
        for protocol in protocols:
            lost = len(subset.queries) - len(cuhk_protocols.match_queries(subset, protocol)[1])
            if lost:
                report.notes.append(f"{report.root / path}: {lost} queries are no queries of {protocol.name}.")


def _queries_with_positives(protocol: Protocol) -> NDArray[np.int64]:
    return np.unique(np.searchsorted(protocol.offsets, protocol.positives, side="right"))


def _check_images(report: CheckReport, boxes: _Boxes, images: Literal["full", "sampled"]) -> None:
    folder = report.root / cuhk_sysu.IMAGE_FOLDER
    if not folder.is_dir():
        report.faults.append(f"{folder}: does not exist.")
        return
    present = {path.name for path in folder.iterdir()}
    names = sorted(boxes)
    report.faults += [f"{folder / name}: does not exist." for name in names if name not in present]
    if extra := present - boxes.keys():
        report.notes.append(f"{folder}: holds {len(extra)} files that Images.mat does not list ({min(extra)} for one).")
    names = [name for name in names if name in present]
    step = max(1, len(names) // _SAMPLE) if images == "sampled" else 1
    decoded = 0
    for name in tqdm(names[::step], desc="images", unit="image", disable=None):
        size, fault = decoded_size(folder / name)
        if size is None:
            report.faults.append(str(fault))
            continue
        decoded += 1
        outside = (boxes[name][:, :2] < 0).any(axis=1) | (boxes[name][:, 2:] > np.add(size, _SIDE_SLACK)).any(axis=1)
        if outside.any():
            found = boxes[name][outside.argmax()].astype(int).tolist()
            report.faults.append(f"{folder / name}: box {found} is outside the image ({size[0]} x {size[1]} pixels).")
    report.counts["images_decoded"] = decoded
