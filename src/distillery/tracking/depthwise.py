"""Heads of SiamRPN++: one level's features, correlated channel by channel, become scores and boxes (pysot)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

Kernels = tuple[Tensor, Tensor]
"""What a level knows of an exemplar: (B, C, p, p) for classification and for regression."""


def correlate_channels(search: Tensor, kernel: Tensor) -> Tensor:
    """Correlates every channel of a map with the same channel of its exemplar.

    A grouped convolution: forward and backward are faster on a CPU than sums of shifted products, unfolding or folding.

    Args:
        search: (B, C, H, W).
        kernel: (B, C, h, w), or (1, C, h, w) for one exemplar in all search regions.

    Returns:
        (B, C, H - h + 1, W - w + 1).
    """
    batch, channels, height, width = search.shape
    h, w = kernel.shape[2:]
    if len(kernel) == 1:
        return F.conv2d(search, kernel.transpose(0, 1), groups=channels)
    flat = search.reshape(1, batch * channels, height, width)
    found = F.conv2d(flat, kernel.reshape(batch * channels, 1, h, w), groups=batch * channels)
    return found.reshape(batch, channels, height - h + 1, width - w + 1)


def middle(features: Tensor, side: int) -> Tensor:
    """The `side` x `side` positions in the middle of a map."""
    first = (features.shape[-1] - side) // 2
    return features[..., first : first + side, first : first + side]


class Branch(nn.Module):
    """Depth-wise correlation and what it predicts at every position.

    Args:
        channels: Of the features.
        outputs: Numbers predicted at a position.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.template = _features(channels, 3)
        self.search = _features(channels, 3)
        self.head = nn.Sequential(*_features(channels, 1), nn.Conv2d(channels, outputs, 1))

    def forward(self, kernel: Tensor, features: Tensor) -> Tensor:
        """(B or 1, C, p - 2, p - 2) and (B, C, P, P) to (B, outputs, P - p + 1, P - p + 1)."""
        predicted: Tensor = self.head(correlate_channels(self.search(features), kernel))
        return predicted


class LevelHead(nn.Module):
    """One level: 1x1 convolution to the common number of channels, then one branch for scores and one for boxes.

    Args:
        inputs: Channels of the backbone's level.
        channels: Of the adjusted features.
        anchors: k.
        template: Side of the correlated part of the exemplar's map.
    """

    def __init__(self, inputs: int, channels: int, anchors: int, template: int) -> None:
        super().__init__()
        self.side = template
        self.adjust = nn.Sequential(nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.classification = Branch(channels, 2 * anchors)
        self.regression = Branch(channels, 4 * anchors)

    def kernels(self, exemplar: Tensor) -> Kernels:
        """What the exemplar's map (B, inputs, P, P) gives to both correlations."""
        # As pysot, cut after the adjustment: in training BatchNorm sees the whole map.
        features = middle(self.adjust(exemplar), self.side)
        return self.classification.template(features), self.regression.template(features)

    def forward(self, kernels: Kernels, search: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, 2k, R, R) and boxes (B, 4k, R, R) from the search region's map (B, inputs, P, P)."""
        features = self.adjust(search)
        return self.classification(kernels[0], features), self.regression(kernels[1], features)


def _features(channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )
