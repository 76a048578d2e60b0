"""ImageNet weights for SiamRPN++'s backbones, and which part of a backbone is trained when (pysot's schedule)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from distillery.config.siamrpnpp import Backbone, Pretraining
from distillery.config.weights import weights_file
from distillery.engine.weights import load_weights
from distillery.errors import UserError
from distillery.tracking.mobile import AtrousMobileNetV2
from distillery.tracking.residual import AtrousResNet

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of ImageNet's colours in 0..1, RGB: what torchvision's weights want subtracted and divided by."""

_CLASSIFIER = ("fc.", "classifier.", "features.18.")
"""Beginnings of the names of torchvision's tensors that no level needs."""


def load_pretrained(backbone: AtrousResNet | AtrousMobileNetV2, name: Backbone, weights: str) -> None:
    """Loads a classifier's weights into a backbone, in place.

    The backbone computes what the classifier computed wherever padding is not felt: 1x1 shortcuts become the middle of
    3x3 ones, MobileNet's extra expansion becomes the identity, and the colours' mean and deviation move into the first
    convolution and its BatchNorm, so that crops stay RGB in 0..255.

    Args:
        backbone: Of the published layout.
        name: Which backbone it is.
        weights: A file with torchvision's names, or `imagenet` for that which `distillery fetch weights` gets; nothing
            is fetched here.

    Raises:
        UserError: If the file is missing or broken, or belongs to another architecture.
    """
    weights = weights_file(weights, name)
    found = load_weights(weights)
    expected = backbone.state_dict()
    found = {tensor: value for tensor, value in found.items() if not tensor.startswith(_CLASSIFIER)}
    deeper = [tensor for tensor in found if tensor not in expected and _deeper(backbone, tensor)]
    adapted = {tensor: value for tensor, value in found.items() if tensor not in deeper}
    if isinstance(backbone, AtrousMobileNetV2):
        adapted = _identity(expected) | adapted
    adapted = {tensor: _widen(value, expected.get(tensor)) for tensor, value in adapted.items()}
    faults = [f"has no tensor {tensor!r}" for tensor in expected if tensor not in adapted]
    faults += [f"holds the unknown tensor {tensor!r}" for tensor in adapted if tensor not in expected]
    faults += [
        f"tensor {tensor!r} has shape {tuple(value.shape)}, the backbone needs {tuple(expected[tensor].shape)}"
        for tensor, value in adapted.items()
        if tensor in expected and value.shape != expected[tensor].shape
    ]
    if faults:
        raise UserError(
            f"holds weights of another architecture: {faults[0]}",
            file=weights,
            place="pretraining.weights",
            remedy=f"name torchvision weights of {name} at the same width",
        )
    first = ("features.0.0", "features.0.1") if isinstance(backbone, AtrousMobileNetV2) else ("conv1", "bn1")
    backbone.load_state_dict(adapted | _raw_colours(adapted, *first))


def begin_epoch(backbone: AtrousResNet | AtrousMobileNetV2, pretraining: Pretraining | None, epoch: int) -> None:
    """Freezes and thaws the parts of a backbone for an epoch: parameters, and the statistics of their BatchNorm.

    Args:
        backbone: In training mode; a backbone in evaluation mode keeps its BatchNorm there.
        pretraining: Absent: everything is trained from the start.
        epoch: 0-based.
    """
    for level, modules in backbone.parts().items():
        trained = pretraining is None or (epoch >= pretraining.frozen_epochs and level in pretraining.levels)
        for module in modules:
            module.requires_grad_(trained)
            module.train(trained and backbone.training)


def _deeper(backbone: AtrousResNet | AtrousMobileNetV2, tensor: str) -> bool:
    """Whether a tensor belongs to a stage that this backbone does not build."""
    if isinstance(backbone, AtrousMobileNetV2):
        part, _, index = tensor.partition(".")
        number = index.split(".")[0]
        return part == "features" and number.isdecimal() and len(backbone.features) <= int(number) < 18
    return tensor.split(".")[0] in {f"layer{level}" for level in range(len(backbone.channels) + 1, 5)}


def _widen(value: Tensor, expected: Tensor | None) -> Tensor:
    """A 1x1 convolution as the 3x3 one that does the same, where a 3x3 one is needed."""
    if expected is not None and expected.shape[2:] == (3, 3) and value.shape[2:] == (1, 1):
        return F.pad(value, (1, 1, 1, 1))
    return value


def _identity(expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`expand` of a MobileNet as a function that changes nothing: its input is within ReLU6's range already."""
    channels = len(expected["expand.0.weight"])
    unit = torch.ones(channels)
    return {
        "expand.0.weight": torch.eye(channels)[:, :, None, None],
        "expand.1.weight": (unit + 1e-5).sqrt(),  # what BatchNorm divides by
        "expand.1.bias": 0 * unit,
        "expand.1.running_mean": 0 * unit,
        "expand.1.running_var": unit,
        "expand.1.num_batches_tracked": torch.tensor(0),
    }


def _raw_colours(tensors: Mapping[str, Tensor], convolution: str, normalisation: str) -> dict[str, Tensor]:
    """First convolution and BatchNorm for RGB in 0..255, from those for normalised colours.

    W * (x / 255 - mean) / deviation = W' * x - b; BatchNorm subtracts b by way of its running mean. This holds at every
    position because the convolution has no padding.
    """
    weight = tensors[f"{convolution}.weight"]
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return {
        f"{convolution}.weight": weight / (255 * deviation),
        f"{normalisation}.running_mean": tensors[f"{normalisation}.running_mean"]
        + (weight * mean / deviation).sum((1, 2, 3)),
    }
