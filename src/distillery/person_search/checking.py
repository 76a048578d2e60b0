"""Whether a CUHK-SYSU root is whole: what `distillery check --benchmark cuhk_sysu` says, file by file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distillery.data.checking import CheckReport
from distillery.errors import UserError
from distillery.person_search.benchmarks import cuhk_protocols, cuhk_sysu
from distillery.person_search.benchmarks.base import Protocol
from distillery.person_search.benchmarks.fields import single
from distillery.person_search.benchmarks.matlab_stream import iterate_struct
from distillery.person_search.check_parts import CUHK_SYSU, add_images

_Boxes = dict[str, NDArray[np.float32]]


def check(root: Path) -> CheckReport:
    """Checks layout, annotation files and their agreement, and hands the images over.

    Without `Images.mat` the images that a protocol names are looked at, with the people that it labels.

    Args:
        root: A folder in CUHK-SYSU's layout.

    Returns:
        The report; nothing that is wrong with the data raises.
    """
    report = CheckReport("cuhk_sysu", Path(root), known=CUHK_SYSU)
    root = report.root
    if not root.is_dir():
        report.faults.append(f"{root}: does not exist or is not a folder.")
        return report

    boxes = report.attempt(lambda: _boxes(report), needs=root / cuhk_sysu.IMAGES)
    pool = report.attempt(lambda: cuhk_sysu.load_pool(root), needs=root / cuhk_sysu.POOL)
    people = report.attempt(lambda: cuhk_sysu.train_people(root), needs=root / cuhk_sysu.TRAIN)
    sizes = report.attempt(lambda: cuhk_sysu.gallery_sizes(root), needs=root / cuhk_sysu.PROTOCOLS) or []
    protocols = [report.attempt(partial(cuhk_sysu.load_protocol, root, size)) for size in sizes]

    if boxes is not None:
        report.counts["images"] = len(boxes)
        report.counts["boxes"] = sum(map(len, boxes.values()))
    if pool is not None:
        report.counts["test_images"] = len(pool)
        if len(set(pool)) != len(pool):
            report.faults.append(f"{root / cuhk_sysu.POOL}: lists {len(pool) - len(set(pool))} images twice.")
    if boxes is not None and pool is not None:
        report.counts["train_images"] = len(boxes.keys() - set(pool))
        _unknown(report, root / cuhk_sysu.POOL, pool, boxes, "Images.mat")
    if people is not None:
        report.counts["train_identities"] = len(people)
        if boxes is not None:
            _check_people(report, people, boxes, set(pool or ()))
    whole = [protocol for protocol in protocols if protocol is not None]
    _check_protocols(report, whole, boxes, pool)
    _check_subsets(report, whole[:1], boxes)
    folder = root / cuhk_sysu.IMAGE_FOLDER
    extra = add_images(report, folder, _labelled(whole) if boxes is None else boxes)
    if extra and boxes is not None:
        report.notes.append(f"{folder}: holds {len(extra)} files that Images.mat does not list ({min(extra)} for one).")
    return report


def _boxes(report: CheckReport) -> _Boxes:
    boxes = {}
    for name, found, stored in cuhk_sysu.stored_images(report.root):
        boxes[name] = found
        report.odd("box_without_area", f"Images.mat, {name}", len(stored) - len(found))
    return boxes


def _labelled(protocols: list[Protocol]) -> _Boxes:
    """The images that the first protocol names, with the people that it labels."""
    if not protocols:
        return {}
    first = protocols[0]
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in first.images}
    for name, box, _ in cuhk_sysu.test_appearances(first):
        found.setdefault(name, []).append(box)
    return {name: np.array(boxes, np.float32).reshape(-1, 4) for name, boxes in found.items()}


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
    if protocols:  # the queries are the same in all, and so are their positives as far as the galleries reach
        usual = cuhk_sysu.default_size(report.root)
        _count_oddities(report, next((one for one in protocols if one.gallery_size == usual), protocols[0]))


def _count_oddities(report: CheckReport, protocol: Protocol) -> None:
    """Counts what is odd about the queries of a protocol; numbers of queries begin with 1, as in MATLAB."""
    file = cuhk_sysu.protocol_file(report.root, protocol.gallery_size)
    owners = np.searchsorted(protocol.offsets, protocol.positives, side="right") - 1
    images = protocol.entries[protocol.positives]
    pairs, times = np.unique(np.stack([owners, images]), axis=1, return_counts=True)
    for query in np.unique(pairs[0][times > 1]).tolist():
        report.odd("positive_twice", f"{file.name}, query {query + 1}")
    for query, image in pairs.T.tolist():
        if protocol.images[image] == protocol.queries[query].image:
            report.odd("own_image", f"{file.name}, query {query + 1}")
    for row, (probe,) in enumerate(iterate_struct(file, file.stem, ("Query",))):
        stored = single(probe, ("idlocate",), file, f"{file.stem}({row + 1}).Query")["idlocate"]
        report.odd("box_in_bytes", f"{file.name}, query {row + 1}", int(stored.dtype == np.uint8))


def _check_subsets(report: CheckReport, protocols: list[Protocol], boxes: _Boxes | None) -> None:
    for name, (path, _) in cuhk_protocols.SUBSETS.items():
        subset = report.attempt(partial(cuhk_sysu.load_subset, report.root, name))
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
