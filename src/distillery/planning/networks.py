"""What networks cost, from the rows that were counted and the channels that the config gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from distillery.config.families import Family
from distillery.config.search_network import ResNetShape
from distillery.planning.estimates import AlexNetCost, Estimates, SearcherCost


class TrackerCost(NamedTuple):
    """Cost of a tracker's network.

    Attributes:
        pair: Multiply-adds of a training pair, forward.
        frame: Multiply-adds of a tracked frame.
        parameters: Number of parameters.
        activations_mb: Megabytes kept for the gradient of a pair.
    """

    pair: float
    frame: float
    parameters: float
    activations_mb: float


class SearcherParts(NamedTuple):
    """Cost of a person-search network.

    Attributes:
        stem: Multiply-adds of the stem for a pixel.
        proposals: Multiply-adds of the proposal network for a pixel.
        region: Multiply-adds of the head for a region.
        crop: Multiply-adds of the whole backbone for a person's crop.
        parameters: Number of parameters of an OIM network.
        guidance: Parameters that QEEPS adds.
        activations_mb: Megabytes kept for the gradient of an image.
    """

    stem: float
    proposals: float
    region: float
    crop: float
    parameters: float
    guidance: float
    activations_mb: float


def tracker(estimates: Estimates, family_name: str, family: Family, network: str) -> TrackerCost:
    """Cost of one of a family's networks.

    A searched network is taken for its teacher with all channels shrunk alike until the budget is kept: how the search
    will spread them over the layers nobody knows before.

    Args:
        estimates: The table.
        family_name: `siamfc`, `siamrpn` or `siamrpnpp`.
        family: Its section of the config.
        network: Name of one of its networks.
    """
    architecture = family.architectures.get(network)
    shrink = 1.0
    if architecture is None:
        assert family.selection is not None, "a searched network has a search"
        architecture = next(iter(family.architectures.values()))
        shrink = family.selection.budget**-0.5
    if family_name in estimates.trackers:
        ratios = [shrink * architecture.width * ratio for ratio in architecture.ratios]
        return _alexnet(estimates.trackers[family_name], ratios)
    row, scale = estimates.backbones[architecture.backbone], architecture.width**2
    return TrackerCost(row.pair * scale, row.frame * scale, row.parameters * scale, row.activations_mb * scale**0.5)


def searcher(estimates: Estimates, shape: ResNetShape) -> SearcherParts:
    """Cost of a person-search network of a shape."""
    row: SearcherCost = getattr(estimates.searchers, shape.block)
    depth, width = sum(shape.depths) / row.blocks, shape.width / 64
    scale = depth * width**2
    finer = (16 / shape.stride) ** 2  # positions on the map
    return SearcherParts(
        row.stem_pixel * scale,
        row.proposals_pixel * width * finer,
        row.region * scale,
        row.crop * scale,
        row.parameters * scale,
        row.guidance * scale,
        row.activations_mb * depth * width,
    )


def _alexnet(row: AlexNetCost, ratios: Sequence[float]) -> TrackerCost:
    channels = [1.0, *ratios]

    def scaled(amounts: Sequence[float]) -> float:
        pairs = zip(row.terms, amounts, strict=True)
        return sum(amount * channels[start] * channels[end] for (start, end), amount in pairs)

    mean = sum(ratios) / len(ratios)
    return TrackerCost(scaled(row.pair), scaled(row.frame), scaled(row.parameters), row.activations_mb * mean)
