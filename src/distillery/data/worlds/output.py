"""What the writers of the embedded worlds share: JPEG files and a pool of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from PIL import Image

from distillery.data.worlds.raster import Bytes
from distillery.errors import UserError

Progress = Callable[[int, int], None]
"""Called with the number of finished jobs (sequences, images) and the number of all."""

Job = TypeVar("Job")
Result = TypeVar("Result")


def write_jpeg(path: Path, image: Bytes, *, quality: int = 85) -> None:
    """Writes RGB pixels (H, W, 3). Baseline JPEG with integer DCT: libjpeg-turbo gives the same bytes everywhere."""
    # Through memory: Pillow does not notice a short write to a file, `write_bytes` does.
    memory = BytesIO()
    Image.fromarray(image).save(
        memory, format="JPEG", quality=quality, subsampling="4:2:0", optimize=False, progressive=False
    )
    path.write_bytes(memory.getvalue())


def write_lines(path: Path, lines: Sequence[object]) -> None:
    """Writes one item a line, LF line ends, with a final newline."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii", newline="\n")


def run_jobs(
    work: Callable[[Job], Result], jobs: Sequence[Job], workers: int, progress: Progress | None
) -> list[Result]:
    """Runs `work` (a module-level function) on every job and returns the results in the order of the jobs.

    Args:
        work: Does one job; its result may not depend on the process it runs in.
        jobs: The jobs.
        workers: Number of processes; 1 or less runs in this one.
        progress: Told about every finished job.

    Raises:
        UserError: A process died.
    """
    results: list[Result] = []

    def note(result: Result) -> None:
        results.append(result)
        if progress:
            progress(len(results), len(jobs))

    if workers <= 1 or len(jobs) == 1:
        for job in jobs:
            note(work(job))
        return results
    # Fresh interpreters: a forked one could inherit the locks of a thread pool that the caller has started.
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        try:
            for result in pool.map(work, jobs, chunksize=max(1, min(16, len(jobs) // (4 * workers)))):
                note(result)
        except BrokenProcessPool as error:
            raise UserError(
                "a process that draws the embedded worlds died",
                remedy="free some memory or use fewer cores and run the same command again",
            ) from error
    return results
