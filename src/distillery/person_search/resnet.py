"""ResNet split in two, as OIM splits it: a stem on the image, a head on every region of interest.

The blocks are torchvision's, and stem and head together name their tensors as torchvision's ResNet does, so its
weights load unchanged. (Caffe's ResNet strides in the first 1x1 of a bottleneck, torchvision's in the 3x3.)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck

from distillery.config.search_network import ResNetShape
from distillery.engine.weights import load_weights
from distillery.errors import UserError

_BLOCKS: Mapping[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class FrozenNorm(nn.BatchNorm2d):
    """BatchNorm that keeps its statistics and is never trained, whatever the mode of the network around it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenNorm:
        """Stays in evaluation mode."""
        return super().train(False)


class HalvingPool(nn.Module):
    """The largest of 3 x 3 with stride 2, as `MaxPool2d(3, stride=2, padding=1)`.

    torch's own takes a third of a narrow stem's time on a CPU; where no gradient is needed, rows and columns are
    compared one after the other, a tenth of that, with the same result.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, ceil(H / 2), ceil(W / 2))."""
        if maps.device.type != "cpu" or (torch.is_grad_enabled() and maps.requires_grad):
            return F.max_pool2d(maps, 3, stride=2, padding=1)
        padded = F.pad(maps, (1, 1, 1, 1), value=-torch.inf)
        height, width = ((side + 1) // 2 * 2 for side in maps.shape[2:])
        rows = torch.maximum(padded[:, :, 0:height:2], padded[:, :, 1 : height + 1 : 2])
        rows = torch.maximum(rows, padded[:, :, 2 : height + 2 : 2])
        columns = torch.maximum(rows[..., 0:width:2], rows[..., 1 : width + 1 : 2])
        return torch.maximum(columns, rows[..., 2 : width + 2 : 2])


class Stem(nn.Module):
    """conv1 to conv4_k on the image.

    Attributes:
        channels: Channels of the output.
        stride: Pixels of the image to a cell of the output.
    """

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        norm: type[nn.BatchNorm2d] = FrozenNorm if shape.norm == "frozen" else nn.BatchNorm2d
        expansion = _BLOCKS[shape.block].expansion
        self.conv1 = nn.Conv2d(3, shape.width, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(shape.width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = HalvingPool()
        self.layer1 = _stage(shape, 1, range(shape.depths[0]), norm)
        self.layer2 = _stage(shape, 2, range(shape.depths[1]), norm)
        self.layer3 = _stage(shape, 3, range(shape.stem_blocks), norm)
        self.channels = shape.width * expansion * (4 if shape.stem_blocks else 2)
        self.stride = shape.stride if shape.stem_blocks else 8
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) to (B, `channels`, H / `stride`, W / `stride`)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        result: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return result


class Head(nn.Module):
    """The rest of conv4 and conv5 on pooled regions, then the mean over what is left of the map.

    Its BatchNorm is always trained: in the official code only the stem's is frozen.

    Attributes:
        channels: Length of the pooled feature.
    """

    def __init__(self, shape: ResNetShape) -> None:
        super().__init__()
        self.layer3 = _stage(shape, 3, range(shape.stem_blocks, shape.depths[2]), nn.BatchNorm2d)
        self.layer4 = _stage(shape, 4, range(shape.depths[3]), nn.BatchNorm2d)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.channels = shape.width * 8 * _BLOCKS[shape.block].expansion
        _initialise(self)

    def forward(self, regions: Tensor) -> Tensor:
        """Maps (R, C, h, w) to (R, `channels`)."""
        result: Tensor = self.avgpool(self.layer4(self.layer3(regions))).flatten(1)
        return result


def load_pretrained(stem: Stem, head: Head, path: str | Path) -> None:
    """Loads a backbone's weights into both halves.

    They bear torchvision's names (ImageNet), and the classifier `fc` is left out; or they are those of a network of
    this room, whose other parts are left out.

    Raises:
        UserError: If the file is missing or broken, or belongs to another architecture.
    """
    tensors = _backbone(load_weights(path))
    halves: tuple[nn.Module, nn.Module] = (stem, head)
    expected = {name: value for half in halves for name, value in half.state_dict().items()}
    faults = [f"has no tensor {name!r}" for name in expected if name not in tensors]
    faults += [f"holds the unknown tensor {name!r}" for name in tensors if name not in expected]
    faults += [
        f"holds {name!r} of shape {tuple(value.shape)}, the network needs {tuple(expected[name].shape)}"
        for name, value in tensors.items()
        if name in expected and value.shape != expected[name].shape
    ]
    if faults:
        raise UserError(
            f"holds weights of another architecture: it {faults[0]}",
            file=path,
            remedy="name weights of the same block, depths and width under shape.pretrained",
        )
    for half in halves:
        half.load_state_dict({name: tensors[name] for name in half.state_dict()})


def _backbone(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a backbone in torchvision's names."""
    if "stem.conv1.weight" not in tensors:
        return {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    return {
        name.removeprefix(half): value
        for half in ("stem.", "head.")
        for name, value in tensors.items()
        if name.startswith(half)
    }


def _stage(shape: ResNetShape, stage: int, blocks: range, norm: type[nn.BatchNorm2d]) -> nn.Sequential:
    """Some consecutive blocks of conv{stage + 1}_x, named by their index in the whole stage."""
    block = _BLOCKS[shape.block]
    planes = shape.width * 2 ** (stage - 1)
    inputs = shape.width if stage == 1 else planes // 2 * block.expansion
    stride = 1 if stage == 1 or (stage == 3 and shape.stride == 8) else 2
    modules = nn.Sequential()
    for index in blocks:
        if index:
            made = block(planes * block.expansion, planes, norm_layer=norm)
        else:
            shortcut = None
            if stride != 1 or inputs != planes * block.expansion:
                shortcut = nn.Sequential(
                    nn.Conv2d(inputs, planes * block.expansion, 1, stride=stride, bias=False),
                    norm(planes * block.expansion),
                )
            made = block(inputs, planes, stride=stride, downsample=shortcut, norm_layer=norm)
        modules.add_module(str(index), made)
    return modules


def _initialise(module: nn.Module) -> None:
    """He initialisation of every convolution, as torchvision's ResNet."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
