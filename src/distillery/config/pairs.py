"""How training pairs are drawn and augmented, for every family of trackers.

Defaults are SiamFC's. SiamRPN and SiamRPN++ (pysot): `shift: 64, stretch: 0.18, aspect: true, blur: 0.2, jitter: 1,
negative: 0.05` (SiamRPN++: `negative: 0.2`) with the exemplar's defaults.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from distillery.config.base import Section
from distillery.config.training import Fraction, NonNegative, Positive

Shift = Annotated[int, Field(ge=0)]
Stretch = Annotated[float, Field(ge=0, lt=1)]


SetName = Literal["got10k", "vid", "youtube_bb", "coco", "det"]


class Source(Section):
    """One of the sets from which pairs are drawn (pysot `SubDataset`)."""

    name: SetName
    """Key of the set under `data`."""
    max_gap: Positive = 100
    """Largest distance between the frames of a pair, counted in the labelled frames of the object; the same frame twice
    is drawn too (pysot `FRAME_RANGE`: VID 100, YouTube-BB 3, stills 1)."""
    use: Positive | None = None
    """Videos of it in a round through all sets, each as often as it takes to reach this number (pysot `NUM_USE`: VID
    100,000); absent means each once. A round shuffles all of them, and is drawn anew when it is through."""
    occluded: bool = True
    """Whether frames are used in which the set says that the object is partly hidden (pysot uses them)."""
    smallest: NonNegative = 1.0
    """Objects with a shorter side than this many pixels are left out (pysot leaves out empty boxes alone)."""


class Shards(Section):
    """How the crops of sources are kept: JPEG, many thousands in a file."""

    side: Annotated[int, Field(ge=32, le=4096)] | None = None
    """Side of the square around the object, in pixels at the scale of the exemplar (pysot: 511); absent means what the
    shifts and stretches of search crops can reach, and no smaller one is taken."""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """JPEG quality (pysot: 95, OpenCV's default)."""
    crops: Positive = 12000
    """Crops in a file: about a quarter of a gigabyte."""
    on_corrupt: Literal["skip", "fail"] = "skip"
    """What happens to an image that does not decode or is not there: it is named and skipped, or the job fails."""
    most_corrupt: Fraction = 0.001
    """Share of a set's images that may be skipped before the job fails anyway."""


class Pairs(Section):
    """How training pairs are drawn and augmented (siamfc-pytorch; pysot)."""

    epoch: Positive
    """Pairs in an epoch; pair i takes clip i modulo the number of clips, its frames are drawn anew in each epoch."""
    max_gap: Positive = 100
    """Largest distance in frames between exemplar and search frame."""
    exemplar_stretch: Stretch = 0.05
    """Largest relative random stretch of the exemplar."""
    exemplar_shift: Shift = 4
    """Largest random shift of the exemplar, in pixels of its crop."""
    stretch: Stretch = 0.05
    """Largest relative random stretch of the search crop (pysot: 0.18)."""
    shift: Shift = 4
    """Largest random shift of the target in the search crop, in pixels either way (siamfc-pytorch: 247 to 239 by
    chance; pysot: 64)."""
    aspect: bool = False
    """Whether width and height are stretched each by its own factor (pysot) rather than by one."""
    negative: Fraction = 0.0
    """Probability that the exemplar shows another clip's object, so that nothing is to be found (pysot: 0.05, 0.2)."""
    blur: Fraction = 0.0
    """Probability of a blur of the search crop by a random cross of 5 to 45 pixels at side 255 (pysot: 0.2)."""
    grey: Fraction = 0.0
    """Probability that both crops lose their colour."""
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest relative change of a crop's brightness, drawn for each crop; 0 is the reference."""
    jitter: NonNegative = 0.0
    """Strength of the random colour offset along the colours' principal axes, drawn for each crop (pysot: 1)."""
    sources: Annotated[tuple[Source, ...], Field(exclude_if=lambda sources: not sources)] = ()
    """Sets from whose crops pairs are drawn; none means GOT-10k's clips, `max_gap` above, and no shards. `epoch` then
    only counts epochs: which video a pair is of follows from the rounds."""
    shards: Annotated[Shards, Field(exclude_if=lambda shards: shards == Shards())] = Shards()
    """How the crops of `sources` are kept."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [source.name for source in self.sources]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"sources names {twice!r} twice")
        return self
