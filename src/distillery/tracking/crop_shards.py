"""Builds the crops of several training sets in a few hundred large files instead of millions of small ones.

Which videos a shard holds follows from the annotations alone, so shards are made independently, by any number of
processes, and give the same bytes. A build that was killed goes on: shards whose hash is right are kept, others are
made again. `FOLDER.json` beside the folder is written last, and says of what all bytes were made.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

import cv2

from distillery.config.shards import FORMAT, ShardJob, ShardSource
from distillery.data.manifest import dataset_root
from distillery.engine.memory import keep_freed_memory
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import read_json, sha256_of, sha256_of_file, write_json
from distillery.sources import closure
from distillery.tracking.shard_writer import ShardTask, make_shard
from distillery.tracking.training_sets import registry
from distillery.tracking.training_sets.base import TrainingSet, Video

_OURS = re.compile(r"shard-(\d{5})\.(jpegs|safetensors)|\.shard-\d{5}\.\d+\.tmp\.(jpegs|safetensors)")
_SHOWN = 3


def build_shards(job: ShardJob, manifests: Sequence[Path], out: Path, *, workers: int = 1) -> dict[str, Any]:
    """Makes the shards of all sets of a job.

    Args:
        job: Resolved parameters.
        manifests: `<name>.json` of each of the job's sources, in any order; the data lie in the folder beside it.
        out: Folder: `out/<set>/shard-00000.jpegs` and `.safetensors`; what was made of it goes to `out.json`.
        workers: Processes; the bytes do not depend on it.

    Returns:
        The content of `out.json`.

    Raises:
        UserError: If sets and manifests do not match, an annotation is malformed, images are corrupt beyond what the
            job allows, or a process dies. Finished shards stay.
    """
    roots = _roots(job, manifests)
    sidecar = out.with_name(out.name + ".json")
    if out.exists() and not out.is_dir():
        raise UserError("is a file, a folder is to be written there", file=out, remedy="choose another path")
    sets = {}
    with ExitStack() as stack:
        pool = None
        if workers > 1:
            # Fresh interpreters: a forked one could inherit the locks of threads.
            pool = stack.enter_context(
                ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_process)
            )
        else:
            keep_freed_memory()
        for source in job.sources:
            manifest, root = roots[source.name]
            key = _key(job, source, manifest)
            sets[source.name] = {"key": key} | _build_set(job, source, root, key, out / source.name, pool, workers)
    content = {"format": FORMAT, "job": job.model_dump(mode="json"), "sets": sets}
    write_json(sidecar, content)
    return content


def _roots(job: ShardJob, manifests: Sequence[Path]) -> dict[str, tuple[Path, Path]]:
    """Set -> its manifest and its folder."""
    given = {str(_benchmark(manifest)): manifest for manifest in manifests}
    wanted = [source.name for source in job.sources]
    if sorted(given) != sorted(wanted) or len(given) < len(manifests):
        raise UserError(
            f"gives {', '.join(sorted(given))}, the job's sets are {', '.join(wanted)}",
            place="--data",
            remedy="give the manifest of each set once",
        )
    return {name: (given[name], dataset_root(given[name])) for name in wanted}


def _benchmark(manifest: Path) -> object:
    content = read_json(manifest)
    return content.get("benchmark") if isinstance(content, dict) else None


def _key(job: ShardJob, source: ShardSource, manifest: Path) -> str:
    """Hash of all that the bytes of a set's shards follow from."""
    shape = job.model_dump(mode="json", include={"exemplar", "context", "inner", "outer"})
    kept = job.shards.model_dump(mode="json", include={"quality", "crops"})
    own = source.model_dump(mode="json")
    code = [sha256_of_file(file) for file in closure(__name__, *registry.modules(source.name))]
    return sha256_of({"code": code, **shape, **kept, "source": own, "data": sha256_of_file(manifest)})


def _build_set(
    job: ShardJob,
    source: ShardSource,
    root: Path,
    key: str,
    folder: Path,
    pool: ProcessPoolExecutor | None,
    workers: int,
) -> dict[str, Any]:
    """The entry of a set in the sidecar."""
    opened, partial = registry.load(source.name, root), registry.TRAINING_SETS[source.name].partial
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    tasks = (
        ShardTask(folder / f"shard-{number:05d}", key, root, tuple(videos), job, source, partial)
        for number, videos in enumerate(_portions(opened, job.shards.crops))
    )
    with Progress(f"crop {opened.title}", opened.total) as progress:
        told = list(_run(tasks, pool, workers, progress.update))
        progress.update(opened.total - progress.done)  # videos without an object
    _sweep(folder, len(told))
    skipped = sorted(entry for shard in told for entry in shard.pop("skipped"))
    counts = {
        name: sum(shard[name] for shard in told)
        for name in ("videos", "tracks", "crops", "images", "missing", "outside", "bytes")
    }
    _judge(skipped, counts, job, opened)
    names = ("name", "crops", "tracks", "videos", "bytes", "sha256", "index")
    shards = [{name: shard[name] for name in names} for shard in told]
    return {"counts": counts | {"skipped": len(skipped)}, "skipped": skipped, "shards": shards}


def _portions(opened: TrainingSet, crops: int) -> Iterator[list[Video]]:
    """Videos of one shard after the other: as many as reach the number of crops."""
    portion: list[Video] = []
    size = 0
    for video in opened.videos():
        boxes = sum(len(track.rows) for track in video.tracks)
        if boxes == 0:
            continue
        portion.append(video)
        size += boxes
        if size >= crops:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _run(
    tasks: Iterator[ShardTask], pool: ProcessPoolExecutor | None, workers: int, note: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    """What each task tells, in their order; few are in memory at a time."""
    if pool is None:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for task in tasks:
                yield make_shard(task)
                note(len(task.videos))
        finally:
            cv2.setNumThreads(threads)
        return
    waiting: list[tuple[int, Future[dict[str, Any]]]] = []
    try:
        for task in tasks:
            waiting.append((len(task.videos), pool.submit(make_shard, task)))
            if len(waiting) > 2 * workers:
                count, done = waiting.pop(0)
                yield done.result()
                note(count)
        for count, done in waiting:
            yield done.result()
            note(count)
    except BrokenProcessPool as error:
        raise UserError(
            "a process that makes crops died",
            remedy="free some memory or use fewer cores and run the same command again: finished shards are kept",
        ) from error
    finally:
        for _, done in waiting:
            done.cancel()


def _judge(skipped: list[list[str]], counts: dict[str, int], job: ShardJob, opened: TrainingSet) -> None:
    """Raises `UserError` if too many images were skipped, or nothing is left."""
    if len(skipped) > job.shards.most_corrupt * counts["images"]:
        first = ", ".join(name for name, _ in skipped[:_SHOWN])
        more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        raise UserError(
            f"{len(skipped)} of {counts['images']} images do not decode or are not there: {first}{more}",
            file=opened.root,
            remedy="restore them from the official archive, or raise pairs.shards.most_corrupt",
        )
    if not counts["crops"]:
        raise UserError("has no object that can be learnt from", file=opened.root, remedy="check the dataset")


def _sweep(folder: Path, count: int | None = None) -> None:
    """Removes what a killed build left half-written and, where `count` is given, shards that there are too many."""
    for file in folder.iterdir():
        found = _OURS.fullmatch(file.name)
        if found and (found[1] is None or (count is not None and int(found[1]) >= count)):
            file.unlink()


def _begin_process() -> None:
    """One thread, memory that is reused, and an end with the parent, which may be killed without a word."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
