"""What the training jobs of this room read: the training images that belong to a manifest, and a backbone's weights."""

from __future__ import annotations

from pathlib import Path

from distillery.config.search_network import ResNetShape
from distillery.errors import UserError
from distillery.files import read_json
from distillery.person_search.benchmarks.base import SearchSplit
from distillery.person_search.benchmarks.registry import load_train
from distillery.person_search.resnet import Head, Stem, load_pretrained


def training_split(manifest: Path) -> SearchSplit:
    """The training images of the dataset that a manifest names."""
    if not manifest.is_file():
        raise UserError("does not exist", file=manifest, remedy="write the dataset with `distillery dataset`")
    content = read_json(manifest)
    benchmark = content.get("benchmark", manifest.stem) if isinstance(content, dict) else manifest.stem
    split = load_train(benchmark, manifest.with_suffix(""))
    if not any((image.ids >= 0).any() for image in split.images):
        raise UserError(
            "has no labelled person in its training images",
            file=manifest.with_suffix(""),
            remedy="check it with `distillery check`",
        )
    return split


def load_backbone(shape: ResNetShape, stem: Stem, head: Head) -> None:
    """Loads pre-trained weights where the shape names them.

    Raises:
        UserError: If they are missing or do not fit, or a frozen BatchNorm has none.
    """
    if shape.pretrained is not None:
        load_pretrained(stem, head, shape.pretrained)
        if shape.norm == "frozen":
            # The official code keeps conv1 (learning rate 0), as its BatchNorm is.
            stem.conv1.requires_grad_(False)
    elif shape.norm == "frozen":
        raise UserError(
            "a frozen BatchNorm without pre-trained weights would normalise nothing",
            file="config",
            place="shape.norm",
            remedy="set norm: batch, or name ImageNet weights under shape.pretrained",
        )


def weights_of(shape: ResNetShape) -> dict[str, Path]:
    """The files that a backbone starts from, by name."""
    return {} if shape.pretrained is None else {"pretrained": Path(shape.pretrained)}
