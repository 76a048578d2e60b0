"""The three parts that QEEPS adds to OIM (Munjal et al., "Query-guided End-to-End Person Search", CVPR 2019).

QSSE-Net re-weights the channels of both images' stems by what both show, QRPN adds a proposal score for the person
searched for, QSimNet compares two people. Neither code nor training details were published; what the paper's text, as
it is recalled, leaves open is settled here and named where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from distillery.person_search.resnet import Stem
from distillery.person_search.shares import few

STAGES = {"conv2": "layer1", "conv3": "layer2", "conv4": "layer3"}
"""Stages that can be guided, by the paper's and by torchvision's names, in order."""
Size = tuple[int, int]


class Gate(nn.Module):
    """Squeeze-and-excitation (Hu et al., CVPR 2018): linear, ReLU, linear, sigmoid, one number a channel.

    The gate is twice the sigmoid and its last layer starts at zero, so an untrained gate is 1 and a network that
    starts from OIM starts as OIM: a plain sigmoid would halve every residual branch, block after block. The factor is
    no other model, as the BatchNorm at the end of the branch could hold it.

    Args:
        inputs: Length of the description.
        channels: Channels that are re-weighted.
        reduction: Inputs over hidden units.
    """

    def __init__(self, inputs: int, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, inputs // reduction)
        self.squeeze = nn.Linear(inputs, hidden)
        self.excite = nn.Linear(hidden, channels)
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)

    def forward(self, described: Tensor) -> Tensor:
        """Descriptions (B, inputs) to factors (B, channels, 1, 1) between 0 and 2."""
        factors: Tensor = 2 * torch.sigmoid(self.excite(F.relu(self.squeeze(described))))
        return factors[:, :, None, None]


class Begun(NamedTuple):
    """What a stem says about images before they meet another one: it can be computed once an image.

    Attributes:
        shortcut: (B, C, h, w) what the first guided block's branch is added to.
        branch: (B, C, h, w) that branch.
        mean: (B, C) its mean over each image.
        sizes: Height and width of every image without padding.
        padded: Height and width of all with it.
    """

    shortcut: Tensor
    branch: Tensor
    mean: Tensor
    sizes: list[Size]
    padded: Size

    def chosen(self, rows: slice) -> Begun:
        """Some of the images."""
        return Begun(self.shortcut[rows], self.branch[rows], self.mean[rows], self.sizes[rows], self.padded)

    def expanded(self, count: int) -> Begun:
        """One image repeated, without a copy."""
        shortcut, branch = (x.expand(count, -1, -1, -1) for x in (self.shortcut, self.branch))
        return Begun(shortcut, branch, self.mean.expand(count, -1), self.sizes * count, self.padded)


class GuidedStem(nn.Module):
    """QSSE-Net: the gates of a stem's residual blocks, on a stem that the network owns.

    Assumed: the gates stand in the residual branch of every block from the first guided stage on, before the
    shortcut is added (as in SE-ResNet); both images have the same gates, from the means of both branches.

    Args:
        stem: The stem to guide.
        guided: First guided stage, one of `STAGES`.
        reduction: Reduction of the gates.
    """

    def __init__(self, stem: Stem, guided: str, reduction: int) -> None:
        super().__init__()
        names = list(STAGES)
        # A stem without conv4 blocks ends with conv3.
        self._stages = [STAGES[name] for name in names[names.index(guided) :]]
        widths = [_channels(block) for block in self._blocks(stem)]
        if not widths:
            raise ValueError(f"the stem has no block from {guided} on")
        self.gates = nn.ModuleList(Gate(2 * width, width, reduction) for width in widths)

    def _blocks(self, stem: Stem) -> list[BasicBlock | Bottleneck]:
        return [block for stage in self._stages for block in getattr(stem, stage)]

    def begin(self, stem: Stem, images: Tensor, sizes: Sequence[Size]) -> Begun:
        """The stem up to the first gate.

        Args:
            stem: The stem.
            images: (B, 3, H, W), padded.
            sizes: Height and width of every image without padding.
        """
        x = stem.maxpool(stem.relu(stem.bn1(stem.conv1(images))))
        for stage in STAGES.values():
            if stage == self._stages[0]:
                break
            x = getattr(stem, stage)(x)
        shortcut, branch = _halves(self._blocks(stem)[0], x)
        padded = (images.shape[2], images.shape[3])
        return Begun(shortcut, branch, mean_over(branch, sizes, padded), list(sizes), padded)

    def meet(self, stem: Stem, gallery: Begun, query: Begun) -> tuple[Tensor, Tensor]:
        """The rest of the stem for pairs of a gallery and a query image.

        Args:
            stem: The stem.
            gallery: Of B gallery images.
            query: Of their B query images.

        Returns:
            Maps (B, C, h, w) of the gallery images and of the query images.
        """
        first, second = self._rest(stem, [gallery, query])
        return first, second

    def alone(self, stem: Stem, begun: Begun) -> Tensor:
        """The rest of the stem for images (B) that each meet themselves: maps (B, C, h, w)."""
        (maps,) = self._rest(stem, [begun])
        return maps

    def _rest(self, stem: Stem, begun: Sequence[Begun]) -> list[Tensor]:
        """relu(shortcut + gate * branch), block after block; the gates see the last images, then the first."""
        halves = [(one.shortcut, one.branch) for one in begun]
        means = [one.mean for one in begun]
        maps: list[Tensor] = []
        for index, block in enumerate(self._blocks(stem)):
            if index:
                halves = _halves_of_all(block, maps)
                means = [
                    mean_over(branch, one.sizes, one.padded) for (_, branch), one in zip(halves, begun, strict=True)
                ]
            gate = self.gates[index](torch.cat([means[-1], means[0]], 1))
            maps = [F.relu(torch.addcmul(shortcut, branch, gate)) for shortcut, branch in halves]
        return maps


def mean_over(maps: Tensor, sizes: Sequence[Size], padded: Size) -> Tensor:
    """Means (B, C) of maps (B, C, h, w) over each image, without the cells that only padding reaches.

    Args:
        maps: Maps of padded images.
        sizes: Height and width of every image without padding.
        padded: Height and width of all with it.
    """
    height, width = maps.shape[2:]
    cells = [(-(-rows * height // padded[0]), -(-columns * width // padded[1])) for rows, columns in sizes]
    if all(cell == (height, width) for cell in cells):
        return maps.mean((2, 3))
    return torch.stack([x[:, :rows, :columns].mean((1, 2)) for x, (rows, columns) in zip(maps, cells, strict=True)])


class QueryProposals(nn.Module):
    """QRPN: channels of the gallery map weighed by the query person's pooled region, then a proposal head.

    Assumed: the head scores the proposal network's anchors and leaves their boxes to it; its logits are added to those
    of the proposal network. Its last layer starts at zero, so an untrained one changes no proposal.

    Args:
        inputs: Channels of the map.
        hidden: Channels of the 3x3 convolution.
        anchors: Anchors at every position.
        reduction: Reduction of the gate.
    """

    def __init__(self, inputs: int, hidden: int, anchors: int, reduction: int) -> None:
        super().__init__()
        self.gate = Gate(inputs, inputs, reduction)
        self.conv = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.score = nn.Conv2d(hidden, anchors, 1)
        nn.init.normal_(self.conv.weight, std=0.01)
        for tensor in (self.conv.bias, self.score.weight, self.score.bias):
            nn.init.zeros_(tensor)  # type: ignore[arg-type]

    def forward(self, features: Tensor, regions: Tensor) -> Tensor:
        """Logits (B, A, h, w), float32, of anchors that hold the person searched for.

        Args:
            features: (B, C, h, w) maps of the gallery images.
            regions: (B, C, H, W) pooled regions of the query people.
        """
        weighed = features * self.gate(regions.mean((2, 3)))
        logits: Tensor = self.score(F.relu(self.conv(weighed))).float()
        return logits


class Similarity(nn.Module):
    """QSimNet: squared differences of two id features, BatchNorm, linear layer to "different" and "same".

    The layer starts as the cosine: "same" loses what "different" gains with every difference, all dimensions alike.

    Args:
        dimension: D, length of the id feature.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dimension)
        self.layer = nn.Linear(dimension, 2)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, dimension) / dimension**0.5)
        nn.init.zeros_(self.layer.bias)

    def forward(self, query: Tensor, gallery: Tensor) -> Tensor:
        """Logits (N, 2) for "different" and "same" of features (N, D) and (N, D)."""
        squares = (query - gallery).float().square()
        if self.norm.training and few(squares):
            # One pair has no variance: it is normalised as at test time.
            norm = self.norm
            squares = F.batch_norm(squares, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        else:
            squares = self.norm(squares)
        logits: Tensor = self.layer(squares)
        return logits

    def log_odds(self, query: Tensor, gallery: Tensor) -> Tensor:
        """log(p / (1 - p)) of the softmax probability p that two people are the same, (N,): it ranks as p does."""
        logits: Tensor = self(query, gallery)
        return logits[:, 1] - logits[:, 0]


def similarity_loss(logits: Tensor, same: Tensor) -> Tensor:
    """Mean cross-entropy of (N, 2) logits and (N,) bool; 0, still connected, without any pair."""
    return F.cross_entropy(logits, same.long()) if len(logits) else logits.sum() * 0.0


def _channels(block: BasicBlock | Bottleneck) -> int:
    last: nn.Conv2d = block.conv3 if isinstance(block, Bottleneck) else block.conv2
    return last.out_channels


def _halves(block: BasicBlock | Bottleneck, x: Tensor) -> tuple[Tensor, Tensor]:
    """Shortcut and residual branch of a block of torchvision, not yet added."""
    branch: Tensor = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
    if isinstance(block, Bottleneck):
        branch = block.bn3(block.conv3(block.relu(branch)))
    return (x if block.downsample is None else block.downsample(x)), branch


def _halves_of_all(block: BasicBlock | Bottleneck, maps: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Shortcut and branch of gallery and query maps.

    Maps of one size go through the block together: in training both images then share BatchNorm's batch statistics.
    """
    if len(maps) == 1 or maps[0].shape[2:] != maps[1].shape[2:]:
        return [_halves(block, x) for x in maps]
    shortcut, branch = _halves(block, torch.cat(list(maps)))
    counts = [len(x) for x in maps]
    return list(zip(torch.split(shortcut, counts), torch.split(branch, counts), strict=True))
