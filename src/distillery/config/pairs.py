"""How training pairs are drawn and augmented, for every family of trackers.

Defaults are SiamFC's. SiamRPN and SiamRPN++ (pysot): `shift: 64, stretch: 0.18, aspect: true, blur: 0.2, jitter: 1,
negative: 0.05` (SiamRPN++: `negative: 0.2`) with the exemplar's defaults.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distillery.config.base import Section
from distillery.config.training import Fraction, NonNegative, Positive

Shift = Annotated[int, Field(ge=0)]
Stretch = Annotated[float, Field(ge=0, lt=1)]


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
