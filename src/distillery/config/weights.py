"""Weights that backbones start from: ImageNet's by that word, or a local file."""

from __future__ import annotations

from distillery.config.data import FETCHED

IMAGENET = "imagenet"
"""In the place of a file: torchvision's weights, version IMAGENET1K_V1, which `distillery fetch weights` gets."""
WEIGHTS = f"{FETCHED}/weights"
"""Folder of those weights, as safetensors in torchvision's names."""
NETWORKS = ("resnet18", "resnet34", "resnet50", "mobilenet_v2")
"""Networks whose weights that is."""
RESIDUAL: dict[tuple[str, tuple[int, ...]], str] = {
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("basic", (2, 2, 2, 2)): "resnet18",
}
"""Block and number of blocks in each stage -> residual network of torchvision."""
FILES = frozenset(f"{WEIGHTS}/{network}.safetensors" for network in NETWORKS)
"""All files that `imagenet` can mean."""


def weights_file(weights: str, network: str) -> str:
    """The file that a job reads.

    Args:
        weights: `imagenet`, or a file.
        network: Row of `NETWORKS`.
    """
    return f"{WEIGHTS}/{network}.safetensors" if weights == IMAGENET else weights
