"""The table of what jobs cost (`config/estimates.yaml`): numbers with the evidence for each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, model_validator

from distillery.config.base import Section, parse
from distillery.config.plain_yaml import load_yaml
from distillery.errors import UserError

DEFAULT = Path("config/estimates.yaml")
"""The table of this project, from its top folder."""

Evidence = Annotated[str, Field(pattern=r"^(measured|counted|published|estimated): \S")]
"""Where a number comes from: measured by us, counted exactly, published, or estimated, and how."""
Amount = Annotated[float, Field(ge=0)]


class Quantity(Section):
    """One number."""

    value: Annotated[float, Field(gt=0)]
    """The number."""
    evidence: Evidence
    """Where it comes from."""


class Devices(Section):
    """How fast things are computed; a GPU's numbers are those of speed 1."""

    gpu_macs: Quantity
    """Multiply-adds a second that a GPU of speed 1 sustains."""
    gpu_call: Quantity
    """Seconds that one pass through a network costs on a GPU beside its operations."""
    core_macs: Quantity
    """Multiply-adds a second of one processor core."""
    start: Quantity
    """Seconds until a job begins its work."""
    training: Quantity
    """Operations of a training step over those of its forward pass."""
    margin: Quantity
    """Time limit over estimated time."""
    base_memory_mb: Quantity
    """Megabytes of a process with torch."""


class Reading(Section):
    """Core seconds of reading data."""

    megapixel: Quantity
    """Decoding a million pixels of JPEG."""
    kept_pair: Quantity
    """A training pair from crops that lie ready in memory."""
    decoded_crop: Quantity
    """A crop from a file of crops."""
    tracked_frame: Quantity
    """A frame of tracking beside network and decoding."""


class AlexNetCost(Section):
    """Cost of a tracker on AlexNet at width 1, in terms that scale with the channels on both their sides."""

    terms: tuple[tuple[int, int], ...]
    """Channels from and to which a term goes: 0 the image, 1 to 5 the convolutions, 6 the head's features."""
    pair: tuple[Amount, ...]
    """Multiply-adds of a training pair."""
    frame: tuple[Amount, ...]
    """Multiply-adds of a tracked frame."""
    parameters: tuple[Amount, ...]
    """Parameters."""
    activations_mb: Amount
    """Megabytes kept for the gradient of a pair."""
    evidence: Evidence
    """Where the numbers come from."""

    @model_validator(mode="after")
    def _lengths(self) -> AlexNetCost:
        if {len(self.pair), len(self.frame), len(self.parameters)} != {len(self.terms)}:
            raise ValueError("terms, pair, frame and parameters must be of one length")
        return self


class BackboneCost(Section):
    """Cost of SiamRPN++ on a backbone of width 1; it goes with the square of the width."""

    pair: Amount
    """Multiply-adds of a training pair."""
    frame: Amount
    """Multiply-adds of a tracked frame."""
    parameters: Amount
    """Parameters."""
    activations_mb: Amount
    """Megabytes kept for the gradient of a pair."""
    evidence: Evidence
    """Where the numbers come from."""


class SearcherCost(Section):
    """Cost of a person-search network of 64 channels in conv1; it goes with the square of the width."""

    blocks: Annotated[int, Field(ge=1)]
    """Blocks of the network that was counted; others are taken in proportion."""
    stem_pixel: Amount
    """Multiply-adds of the stem for a pixel."""
    proposals_pixel: Amount
    """Multiply-adds of the proposal network for a pixel."""
    region: Amount
    """Multiply-adds of the head for a region of interest."""
    crop: Amount
    """Multiply-adds of the whole backbone for a crop of a person."""
    parameters: Amount
    """Parameters of an OIM network."""
    guidance: Amount
    """Parameters that QEEPS adds."""
    activations_mb: Amount
    """Megabytes kept for the gradient of an image."""
    evidence: Evidence
    """Where the numbers come from."""


class Searchers(Section):
    """Person search by kind of block."""

    bottleneck: SearcherCost
    """As ResNet-50."""
    basic: SearcherCost
    """As ResNet-18."""
    table_mb: Quantity
    """Megabytes of table and queue in a checkpoint."""


class SetCost(Section):
    """What a real copy of a dataset holds."""

    images: Amount
    """Images that jobs read."""
    megapixels: Amount
    """Millions of pixels of one."""
    gigabytes: Amount
    """Size on disk, unpacked."""
    boxes: Amount = 0
    """Labelled boxes of the training part (person search)."""
    evidence: Evidence
    """Where the numbers come from."""


class ProtocolCost(Section):
    """What a person-search test asks for."""

    train: Amount
    """Training images of its set."""
    gallery: Amount
    """Gallery images."""
    queries: Amount
    """Queries."""
    pairs: Amount
    """Pairs of query and gallery image that QEEPS looks at."""
    evidence: Evidence
    """Where the numbers come from."""


class SmallCost(Section):
    """A job on the processor."""

    seconds: Amount
    """Seconds of its own."""
    unit: Amount
    """Core seconds for each unit of what it works on."""
    memory_mb: Amount
    """Megabytes."""
    evidence: Evidence
    """Where the numbers come from."""


class EmbeddedCost(Section):
    """A job of an embedded profile."""

    seconds: Amount
    """Seconds, mean of a run."""
    memory_mb: Amount
    """Megabytes, largest of a run."""


class Embedded(Section):
    """Jobs of the embedded profiles."""

    evidence: Evidence
    """Where the numbers come from."""
    jobs: dict[str, EmbeddedCost]
    """By kind; what is not named costs what `small` says, less its seconds for real sets."""


class Estimates(Section):
    """The whole table."""

    devices: Devices
    """How fast things are computed."""
    reading: Reading
    """How fast data are read."""
    trackers: dict[str, AlexNetCost]
    """Families on AlexNet."""
    backbones: dict[str, BackboneCost]
    """SiamRPN++ by backbone."""
    searchers: Searchers
    """Person search."""
    datasets: dict[str, SetCost]
    """Real sets."""
    protocols: dict[str, ProtocolCost]
    """Person-search tests."""
    small: dict[str, SmallCost]
    """Jobs on the processor, by kind; `other` serves the kinds that are not named."""
    embedded: Embedded
    """Jobs of embedded profiles."""

    @model_validator(mode="after")
    def _fallback(self) -> Estimates:
        if "other" not in self.small:
            raise ValueError("`small` needs the row `other`, for kinds that are not named")
        return self


@cache
def load_estimates(path: str | Path = DEFAULT) -> Estimates:
    """Reads the table.

    Raises:
        UserError: If the file is missing, is no YAML, or holds an unknown key or a number without evidence.
    """
    file = Path(path)
    try:
        value = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(f"cannot be read ({reason})", file=file, remedy="restore it, or name another table") from error
    return parse(Estimates, value, source=str(file))
