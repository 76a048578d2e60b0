from __future__ import annotations

from typing import Any

import pytest

from distillery.config.base import parse
from distillery.config.siamrpnpp import SiamRPNPPArchitecture, SiamRPNPPGeometry
from distillery.errors import UserError

HALF: dict[str, Any] = {"exemplar": 63, "search": 127, "small_search": 127, "train_search": 127, "anchor_scale": 4}


def geometry(**changes: Any) -> SiamRPNPPGeometry:
    return parse(SiamRPNPPGeometry, changes, source="config")


def test_defaults_are_pysots() -> None:
    made = SiamRPNPPGeometry()
    assert (made.exemplar, made.search, made.stride, made.template) == (127, 255, 8, 7)
    assert made.anchors == 5
    assert made.positions(127) == 15
    assert made.positions(255) == 31
    assert made.cells(255) == (255 - 127) // 8 + 1 + 8 == 25  # pysot's formula with BASE_SIZE 8
    architecture = SiamRPNPPArchitecture()
    assert (architecture.backbone, architecture.levels, architecture.head_channels) == ("resnet50", (2, 3, 4), 256)
    assert architecture.pretraining is None


@pytest.mark.parametrize(
    ("changes", "layout", "maps", "cells"),
    [
        ({**HALF, "stride": 4}, "compact", (15, 31), 25),
        ({**HALF, "template": 5}, "published", (7, 15), 11),
        (HALF, "published", (7, 15), 9),
        ({"search": 303}, "published", (15, 37), 31),
    ],
)
def test_crops_of_other_sides(changes: dict[str, Any], layout: Any, maps: tuple[int, int], cells: int) -> None:
    made = geometry(**changes)
    assert (made.positions(made.exemplar), made.positions(made.search)) == maps
    assert made.cells(made.search) == cells
    assert made.misfit(layout) is None
    other = {"published": "compact", "compact": "published"}[layout]
    assert made.misfit(other) == f"stride must be { {'compact': 4, 'published': 8}[other] }, that of the {other} layout"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"search": 256}, "search must be a multiple of 8 less 1, such as 263"),
        ({"search": 119}, "search region must not be smaller than the exemplar"),
        ({"template": 6}, "template must be 15 or less by an even number"),
        ({"template": 17}, "template must be 15 or less by an even number"),
        ({"template": 1}, "greater than or equal to 3"),
        ({"stride": 16}, "stride must be 8"),
        ({"anchor_ratios": []}, "at least 1 item"),
    ],
)
def test_crops_that_no_layout_sees(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        geometry(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"backbone": "resnet101"}, "backbone"),
        ({"levels": [3, 2]}, "levels must ascend"),
        ({"levels": [2, 2]}, "levels must ascend"),
        ({"levels": [1, 2]}, "greater than or equal to 2"),
        ({"levels": []}, "at least 1 item"),
        ({"width": 0}, "greater than 0"),
        ({"pretraining": {"weights": "imagenet"}, "layout": "compact"}, "those of the published layout"),
        ({"pretraining": {"weights": "imagenet"}, "width": 0.5}, "those of width 1"),
        ({"pretraining": {"weight": "imagenet"}}, "did you mean `weights`"),
    ],
)
def test_architectures_that_make_no_sense(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse(SiamRPNPPArchitecture, changes, source="config")


def test_pretraining_defaults_are_pysots_schedule() -> None:
    changes = {"pretraining": {"weights": "resnet.safetensors"}, "width": 0.5}
    made = parse(SiamRPNPPArchitecture, changes, source="config").pretraining
    assert made is not None
    assert (made.frozen_epochs, made.levels, made.rate) == (10, (2, 3, 4), 0.1)
