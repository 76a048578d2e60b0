from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from distillery.tracking.mobile import AtrousMobileNetV2
from distillery.tracking.residual import AtrousResNet, scaled

Backbone = AtrousResNet | AtrousMobileNetV2
NAMES = ("resnet50", "resnet34", "resnet18", "mobilenet_v2")


def backbone(name: str, width: float = 1.0, **options: object) -> Backbone:
    if name == "mobilenet_v2":
        return AtrousMobileNetV2(width=width, **options)  # type: ignore[arg-type]
    return AtrousResNet(name, width=width, **options)  # type: ignore[arg-type]


def narrow(name: str, **options: object) -> Backbone:
    torch.manual_seed(1)
    return backbone(name, 0.25 if name == "mobilenet_v2" else 0.0625, **options).eval()


@pytest.mark.parametrize(
    ("name", "width", "parameters", "channels"),
    [
        # Counted in pysot's own backbones (commit d04028f).
        ("resnet50", 1.0, 45_528_128, [256, 512, 1024, 2048]),
        ("resnet34", 1.0, 22_660_928, [64, 128, 256, 512]),
        ("resnet18", 1.0, 12_552_768, [64, 128, 256, 512]),
        ("mobilenet_v2", 1.4, 3_485_204, [33, 44, 134, 448]),
    ],
)
def test_size_is_that_of_the_reference_code(name: str, width: float, parameters: int, channels: list[int]) -> None:
    with torch.device("meta"):
        made = backbone(name, width)
    assert sum(parameter.numel() for parameter in made.parameters()) == parameters
    assert list(made.channels.values()) == channels


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("layout", "side", "sides"),
    [
        ("published", 127, [31, 15, 15, 15]),
        ("published", 255, [63, 31, 31, 31]),
        ("published", 63, [15, 7, 7, 7]),
        ("compact", 63, [31, 15, 15, 15]),
        ("compact", 127, [63, 31, 31, 31]),
    ],
)
def test_every_backbone_has_the_same_maps(name: str, layout: str, side: int, sides: list[int]) -> None:
    made = narrow(name, layout=layout)
    levels = made(torch.rand(2, 3, side, side))
    assert list(levels) == [1, 2, 3, 4]
    for (level, features), cells in zip(levels.items(), sides, strict=True):
        assert features.shape == (2, made.channels[level], cells, cells)


@pytest.mark.parametrize("layout", ["published", "compact"])
@pytest.mark.parametrize("name", NAMES)
def test_maps_lie_in_the_middle_of_the_crop(name: str, layout: str) -> None:
    """With symmetric kernels a mirrored crop has mirrored maps: no reduction prefers a side."""
    made = narrow(name, layout=layout)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 4:
                parameter.add_(parameter.flip(3)).mul_(0.5)
    image = 255 * torch.rand(1, 3, 127, 127)
    for found, mirrored in zip(made(image).values(), made(image.flip(3)).values(), strict=True):
        assert found.std() > 0
        torch.testing.assert_close(mirrored, found.flip(3), rtol=1e-4, atol=1e-4 * float(found.detach().abs().max()))


def windows(module: nn.Module, kernel: int = 3) -> list[tuple[int, int, int]]:
    """Stride, padding, dilation of every 3x3 convolution, in order."""
    return [
        (part.stride[0], int(part.padding[0]), part.dilation[0])
        for part in module.modules()
        if isinstance(part, nn.Conv2d) and part.kernel_size[0] == kernel
    ]


def test_dilation_of_basic_blocks() -> None:
    """By hand from pysot's `resnet_atrous.py`: a stage is conv1, conv2, shortcut, conv1, conv2."""
    made = narrow("resnet18")
    same, half = (1, 1, 1), (2, 0, 1)
    assert windows(made.get_submodule("layer1")) == [same] * 4
    assert windows(made.get_submodule("layer2")) == [half, same, half, same, same]
    assert windows(made.get_submodule("layer3")) == [same, (1, 2, 2), same, (1, 2, 2), (1, 2, 2)]
    assert windows(made.get_submodule("layer4")) == [(1, 2, 2), (1, 4, 4), (1, 2, 2), (1, 4, 4), (1, 4, 4)]


def test_dilation_of_bottlenecks() -> None:
    made = narrow("resnet50")
    assert windows(made.get_submodule("layer1")) == [(1, 1, 1)] * 3
    assert windows(made.get_submodule("layer2")) == [(2, 0, 1)] * 2 + [(1, 1, 1)] * 3
    assert windows(made.get_submodule("layer3")) == [(1, 1, 1)] * 2 + [(1, 2, 2)] * 5
    assert windows(made.get_submodule("layer4")) == [(1, 2, 2)] * 2 + [(1, 4, 4)] * 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("deepest", [2, 3])
def test_deeper_levels_are_not_built(name: str, deepest: int) -> None:
    made, whole = narrow(name, deepest=deepest), narrow(name)
    whole.load_state_dict(made.state_dict(), strict=False)
    image = torch.rand(1, 3, 63, 63)
    expected = whole(image)
    for level, features in made(image).items():
        assert torch.equal(features, expected[level])
    assert list(made.channels) == list(range(1, deepest + 1))
    assert len(made.state_dict()) < len(whole.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_parts_hold_every_parameter_once(name: str) -> None:
    made = narrow(name)
    held = [id(p) for modules in made.parts().values() for module in modules for p in module.parameters()]
    assert list(made.parts()) == [0, 1, 2, 3, 4]
    assert sorted(held) == sorted(id(parameter) for parameter in made.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_wider_network_is_larger(name: str) -> None:
    with torch.device("meta"):
        sizes = [sum(p.numel() for p in backbone(name, width).parameters()) for width in (0.01, 0.125, 0.25, 0.5, 1, 2)]
    assert all(small < large for small, large in pairwise(sizes))


def test_channels_are_rounded_down_and_never_vanish() -> None:
    assert [scaled(c, 1.4) for c in (32, 16, 24, 32, 64, 96, 160, 320)] == [44, 22, 33, 44, 89, 134, 224, 448]
    assert scaled(64, 0.001) == 2
