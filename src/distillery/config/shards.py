"""The job that makes shards of crops: what their bytes follow from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distillery.config.base import Section
from distillery.config.pairs import Pairs, SetName, Shards
from distillery.config.training import NonNegative, Positive

FORMAT = 1
"""Number of the files' format, which their reader asks for."""


class ShardSource(Section):
    """One set of a job."""

    name: SetName
    """Key of the set under `data`."""
    occluded: bool = True
    """Whether frames with a partly hidden object are kept."""
    smallest: NonNegative = 1.0
    """Shortest side in pixels of an object that is kept."""


class ShardJob(Section):
    """Resolved parameters of `distillery crop-shards`."""

    exemplar: Positive
    """Side of the exemplar crop in pixels, which sets the scale."""
    context: NonNegative
    """Context around the target."""
    inner: Positive
    """Side of the square from which exemplars are cut, at the scale of the exemplar."""
    outer: Positive
    """Side of the square from which search crops are cut, at the same scale."""
    sources: Annotated[tuple[ShardSource, ...], Field(min_length=1)]
    """The sets."""
    shards: Shards = Shards()
    """How crops are kept."""


def sides(pairs: Pairs, exemplar: int, search: int) -> tuple[int, int]:
    """Sides of the squares that hold every exemplar and every search crop that a family's pairs can show."""
    near = exemplar / (1 - pairs.exemplar_stretch) + 2 * pairs.exemplar_shift
    far = search / (1 - pairs.stretch) + 2 * pairs.shift
    return int(-(-near // 1)) + 2, int(-(-max(near, far) // 1)) + 2


def shard_job(pairs: Pairs, exemplar: int, search: int, context: float) -> ShardJob:
    """The shards from which a family's pairs are read.

    Args:
        pairs: Of the family, with sources.
        exemplar: Side of the exemplar crop.
        search: Side of the search crop in training.
        context: Context around the target.
    """
    inner, least = sides(pairs, exemplar, search)
    return ShardJob(
        exemplar=exemplar,
        context=context,
        inner=inner,
        outer=max(least, pairs.shards.side or 0),
        sources=tuple(
            ShardSource(name=source.name, occluded=source.occluded, smallest=source.smallest)
            for source in pairs.sources
        ),
        shards=pairs.shards,
    )
