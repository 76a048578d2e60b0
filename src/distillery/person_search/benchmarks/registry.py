"""The person-search benchmarks by name: `cuhk_sysu`, `prw`, and `prw_mini`, which is PRW with 30 of its queries."""

from __future__ import annotations

from pathlib import Path

from distillery.errors import UserError
from distillery.person_search.benchmarks import cuhk_sysu, prw
from distillery.person_search.benchmarks.base import Protocol, Query, SearchSplit

CUHK_SYSU = "cuhk_sysu"
VARIANTS = {
    CUHK_SYSU: ("official", "seqnet"),
    "prw": ("official", "cross_camera"),
    "prw_mini": ("official", "cross_camera"),
}
"""Benchmark -> variants of its protocol, the default first."""
BENCHMARKS = tuple(VARIANTS)
TRAINING_SETS = (CUHK_SYSU, "prw")


def load_train(benchmark: str, root: Path) -> SearchSplit:
    """The training images of one of `TRAINING_SETS`; labelled identities are 0 .. identities - 1."""
    if _known(benchmark) not in TRAINING_SETS:
        raise UserError(f"{benchmark} has no training images", remedy="train on prw, of which it is a part")
    return cuhk_sysu.load_train(root) if benchmark == CUHK_SYSU else prw.load_train(root)


def load_pool(benchmark: str, root: Path, *, need_images: bool = True) -> SearchSplit:
    """The test images with everybody annotated, sorted by name; the same for `prw` and `prw_mini`.

    Args:
        benchmark: One of `BENCHMARKS`.
        root: A folder in its official layout.
        need_images: Whether the image files must be there; scoring does without.

    Raises:
        UserError: naming what is absent or malformed.
    """
    split = cuhk_sysu.load_test_pool(root) if _known(benchmark) == CUHK_SYSU else prw.load_test_pool(root)
    if need_images:
        folder = image_folder(benchmark, root)
        present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        lost = next((image for image in split.images if image.name not in present), None)
        if lost is not None:
            raise UserError("does not exist", file=lost.path, remedy="restore it from the dataset's original archive")
    return split


def load_queries(benchmark: str, root: Path) -> list[Query]:
    """The queries in the order of the predictions; their images lie in `image_folder`, some outside the pool."""
    if _known(benchmark) == CUHK_SYSU:
        return cuhk_sysu.load_protocol(root, cuhk_sysu.gallery_sizes(root)[0]).queries
    return prw.load_queries(root, benchmark)


def image_folder(benchmark: str, root: Path) -> Path:
    """Where the images lie."""
    return root / (cuhk_sysu.IMAGE_FOLDER if _known(benchmark) == CUHK_SYSU else prw.IMAGE_FOLDER)


def gallery_sizes(benchmark: str, root: Path) -> list[int]:
    """Gallery sizes of the protocols under the root, ascending; PRW's one gallery is the whole set (-1)."""
    return cuhk_sysu.gallery_sizes(root) if _known(benchmark) == CUHK_SYSU else [cuhk_sysu.FULL_GALLERY]


def load_protocol(
    benchmark: str, root: Path, *, gallery_size: int | None = None, variant: str = "official"
) -> Protocol:
    """Queries and galleries of a benchmark.

    Args:
        benchmark: One of `BENCHMARKS`.
        root: A folder in its official layout; no image is needed.
        gallery_size: One of `gallery_sizes`, or -1 for the whole set; None for that of the headline numbers.
        variant: One of the benchmark's `VARIANTS`.

    Raises:
        UserError: naming what is absent, malformed or unknown.
    """
    check_variant(benchmark, variant)
    if benchmark == CUHK_SYSU:
        return cuhk_sysu.load_protocol(root, cuhk_sysu.default_size(root) if gallery_size is None else gallery_size)
    if gallery_size not in (None, cuhk_sysu.FULL_GALLERY):
        raise UserError(f"{benchmark} has no galleries of {gallery_size} images", remedy="its gallery is the whole set")
    return prw.load_protocol(root, benchmark, cross_camera=variant == "cross_camera")


def check_variant(benchmark: str, variant: str) -> None:
    """Refuses a variant that the benchmark's protocol does not have."""
    if variant not in VARIANTS[_known(benchmark)]:
        raise UserError(f"unknown protocol {variant!r}", remedy=f"choose one of {', '.join(VARIANTS[benchmark])}")


def _known(benchmark: str) -> str:
    if benchmark not in VARIANTS:
        remedy = f"choose one of {', '.join(VARIANTS)}"
        raise UserError(f"unknown person-search benchmark {benchmark!r}", remedy=remedy)
    return benchmark
