"""Decoding a dataset's images: which of them, by how many processes, and whether the boxes lie within them."""

from __future__ import annotations

import math
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from distillery.data.check_boxes import check_boxes
from distillery.data.checking import CheckReport, ImageGroup
from distillery.data.decoding import Decoded, Work, decode, decode_each
from distillery.engine.randomness import numpy_generator

Policy = Literal["full", "sample", "none"]
Progress = Callable[[int, int], None]

SAMPLE_AT_LEAST = 8
ODDITIES = {
    "grey_image": "images of one channel; they are read as three equal ones",
    "cmyk_image": "JPEG images in CMYK; they are converted when they are read",
    "misnamed_image": "images whose name has the ending of another format (a PNG named .jpg); the content counts",
    "orientation_tag": "images with an orientation tag, which is ignored: annotations count pixels as they are stored",
    "size_changes": "videos whose images differ in size",
}
_WORTH_A_POOL = 256
"""Images that are decoded sooner than other processes have started."""
_CHUNK = 32
_IN_FLIGHT = 4
"""Chunks that wait or run per process: enough to keep it busy, few enough to be done again when one dies."""
_Key = tuple[Path, tuple[str, ...]]


def look_at_images(
    report: CheckReport,
    *,
    policy: Policy = "full",
    workers: int = 1,
    progress: Progress | None = None,
    work: Work = decode,
) -> None:
    """Decodes the images of a report's groups; adds faults, oddities, and how many were decoded of how many.

    Images that two groups share (two targets in one video) are decoded once. Those that are not decoded must still be
    readable files that are not empty.

    Args:
        report: Its `images` are looked at.
        policy: "full" decodes every image; "sample" those of `sampled`; "none" none.
        workers: Processes; the report does not depend on it. With two and more (and more than a few images), an image
            that kills the decoder costs one process and becomes one fault.
        progress: Called with done and total.
        work: Decodes one image; a function of a module, for other processes to import.
    """
    shared: dict[_Key, list[ImageGroup]] = {}
    for group in report.images:
        shared.setdefault((group.folder, group.files), []).append(group)
    chosen = _chosen(shared, policy)
    total = sum(map(len, chosen.values()))
    paths = (folder / files[i] for (folder, files), picked in chosen.items() for i in picked)
    found = decode_all(paths, workers=workers if total > _WORTH_A_POOL else 1, work=work)
    done = 0
    for (folder, files), groups in shared.items():
        picked = chosen[folder, files]
        sizes = np.zeros((len(files), 2), np.int64)
        absent = _unreadable(report, folder, files, set(picked))
        for i, image in zip(picked, islice(found, len(picked)), strict=True):
            done += 1
            if image.size is not None:
                sizes[i] = image.size
                for trait in image.traits:
                    report.odd(trait, f"{groups[0].name}, {files[i]}", what=ODDITIES[trait])
                report.decoded += 1
            elif image.fault == "does not exist":
                absent.append(files[i])
            else:
                report.faults.append(f"{folder / files[i]}: {image.fault}.")
            if progress:
                progress(done, total)
        report.listed += len(files)
        report.missing_files(folder, sorted(absent), "images")
        _same_size(report, groups[0], sizes)
        for group in groups:
            check_boxes(report, group, sizes)


def _chosen(shared: Mapping[_Key, Sequence[ImageGroup]], policy: Policy) -> dict[_Key, list[int]]:
    """Which images of which group are decoded; the groups of one image in a folder count as one group together."""
    stills: dict[Path, list[_Key]] = {}
    for folder, files in shared:
        if len(files) == 1:
            stills.setdefault(folder, []).append((folder, files))
    chosen = {key: sampled(groups[0].name, len(key[1]), policy) for key, groups in shared.items()}
    for keys in stills.values():
        picked = set(sampled(shared[keys[0]][0].name, len(keys), policy))
        chosen |= {key: [0] if i in picked else [] for i, key in enumerate(keys)}
    return chosen


def sampled(name: str, count: int, policy: Policy) -> list[int]:
    """Indices of the images of a group that are decoded, ascending.

    A sample is the first, the last, and between them as many as the square root of their number, eight at least, drawn
    from the group's name alone: the same on every machine and in every run.
    """
    if policy == "none":
        return []
    inner = max(SAMPLE_AT_LEAST, math.isqrt(count))
    if policy == "full" or count <= inner + 2:
        return list(range(count))
    drawn = numpy_generator(0, "check", name).choice(count - 2, inner, replace=False) + 1
    return [0, *sorted(drawn.tolist()), count - 1]


def decode_all(paths: Iterator[Path], *, workers: int, work: Work = decode) -> Iterator[Decoded]:
    """What `work` says to each path, in their order; a path that kills its process is said to crash the decoder."""
    if workers <= 1:
        yield from map(work, paths)
        return
    chunks = iter(lambda: list(islice(paths, _CHUNK)), [])
    while True:
        waiting: deque[list[Path]] = deque()
        results: deque[Future[list[Decoded]]] = deque()
        # Fresh interpreters: a forked one could inherit the locks of a thread pool that the caller has started.
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        try:
            while True:
                for chunk in islice(chunks, _IN_FLIGHT * workers - len(waiting)):
                    waiting.append(chunk)  # before it is handed over, which may be what fails
                    results.append(pool.submit(decode_each, work, chunk))
                if not waiting:
                    return
                yield from results.popleft().result()
                waiting.popleft()
        except BrokenProcessPool:
            pass
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        for chunk in waiting:
            yield from _one_by_one(chunk, work)


def _one_by_one(paths: Sequence[Path], work: Work) -> Iterator[Decoded]:
    """Each path in a process of its own kind: it is known which one died."""
    left = iter(paths)
    while True:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            for path in left:
                try:
                    yield pool.submit(work, path).result()
                except BrokenProcessPool:
                    yield Decoded(None, "makes the decoder crash, or needs more memory than there is")
                    break
            else:
                return


def _unreadable(report: CheckReport, folder: Path, files: Sequence[str], decoded: set[int]) -> list[str]:
    """Files that are not decoded and not there; those that are no readable files become faults."""
    absent = []
    for i, name in enumerate(files):
        if i in decoded:
            continue
        path = folder / name
        try:
            state = path.stat()
        except FileNotFoundError:
            absent.append(name)
            continue
        except OSError as error:
            report.faults.append(f"{path}: cannot be read ({error.strerror}).")
            continue
        if not stat.S_ISREG(state.st_mode):
            report.faults.append(f"{path}: is no regular file.")
        elif state.st_size == 0:
            report.faults.append(f"{path}: is empty.")
        elif not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            report.faults.append(f"{path}: cannot be read (Permission denied).")
    return absent


def _same_size(report: CheckReport, group: ImageGroup, sizes: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> None:
    """One camera gives images of one size, which then is also that of the images that were not decoded."""
    if not group.video:
        return
    known = sizes[:, 0] > 0
    kinds = np.unique(sizes[known], axis=0)
    if len(kinds) > 1:
        report.odd("size_changes", group.name, what=ODDITIES["size_changes"])
    elif len(kinds):
        sizes[~known] = kinds[0]
