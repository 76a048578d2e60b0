"""How much the datasets of a profile hold: official counts of real sets, the config's own of embedded ones."""

from __future__ import annotations

from typing import Any

from distillery.config.data import LocalCopy
from distillery.config.profile import Profile
from distillery.planning.estimates import Estimates, ProtocolCost

EMBEDDED_IMAGE_MB = 0.02
"""An image of an embedded set, measured in mini."""


def embedded(profile: Profile) -> bool:
    """Whether every set of a profile is embedded, so that its jobs are the small ones that were measured."""
    return not any(isinstance(getattr(profile.data, name), LocalCopy) for name in profile.data.names)


def frames_of(profile: Profile, estimates: Estimates, name: str) -> float:
    """Images of a set that jobs read."""
    source = getattr(profile.data, name)
    if isinstance(source, LocalCopy):
        return estimates.datasets[name].images
    return _embedded_images(source)


def megapixels_of(profile: Profile, estimates: Estimates, name: str) -> float:
    """Millions of pixels of an image of a set."""
    source = getattr(profile.data, name)
    if isinstance(source, LocalCopy):
        return estimates.datasets[name].megapixels
    pixels: float = source.width * source.height
    return pixels / 1e6


def labelled_boxes(profile: Profile, estimates: Estimates, name: str) -> float:
    """Labelled boxes of a person-search set's training part."""
    source = getattr(profile.data, name)
    if isinstance(source, LocalCopy):
        return estimates.datasets[name].boxes
    identities: int = source.train_identities
    return 3.0 * identities


def protocol_of(profile: Profile, estimates: Estimates, test: str) -> ProtocolCost:
    """What a person-search test asks for."""
    query = profile.person_search.query
    source: Any = profile.data.prw if test.startswith("prw") else profile.data.cuhk_sysu
    if isinstance(source, LocalCopy):
        row = estimates.protocols[test]
        queries = min(row.queries, query.queries or row.queries)
        gallery = query.gallery_size or 100
        pairs = queries * gallery if test == "cuhk_sysu" else row.pairs * queries / row.queries
        return row.model_copy(update={"pairs": float(pairs)})
    counts = _embedded_protocol(source, test)
    return ProtocolCost(**counts, evidence="counted: of the config")


def gigabytes_of(profile: Profile, estimates: Estimates, name: str) -> float:
    """Size of a set on disk."""
    if isinstance(getattr(profile.data, name), LocalCopy):
        return estimates.datasets[name].gigabytes
    return _embedded_images(getattr(profile.data, name)) * EMBEDDED_IMAGE_MB / 1000


def _embedded_images(source: Any) -> float:
    """Images of an embedded set, from the pairs of numbers that its section has."""
    if hasattr(source, "sequences"):
        return float(source.sequences * source.frames)
    if hasattr(source, "val_sequences"):
        return float(source.train_sequences * source.train_frames + source.val_sequences * source.val_frames)
    if hasattr(source, "train_sequences"):
        return float(source.train_sequences * source.train_frames)
    if hasattr(source, "train_images"):
        return float(source.train_images + source.test_images)
    return float(source.train_frames + source.test_frames)


def _embedded_protocol(source: Any, test: str) -> dict[str, float]:
    if test == "cuhk_sysu":
        gallery, queries = source.test_images, source.test_identities
        pairs = queries * min(source.gallery_sizes)
        return {"train": source.train_images, "gallery": gallery, "queries": queries, "pairs": pairs}
    queries = source.mini_queries if test == "prw_mini" else source.queries
    pairs = queries * source.test_frames if test == "prw_mini" else 0
    return {"train": source.train_frames, "gallery": source.test_frames, "queries": queries, "pairs": pairs}
