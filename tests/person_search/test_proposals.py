"""The proposal network, in steps, against torchvision's in one piece."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from distillery.config.search_network import Proposals
from distillery.person_search.proposals import ProposalHead, build_proposal_network, proposal_losses

CONFIG = Proposals(
    channels=16,
    anchor_sizes=(16, 32, 64),
    anchor_ratios=(1.0, 2.5),
    pre_nms=(60, 40),
    post_nms=(20, 10),
    batch=32,
    min_size=5.0,
)
SIZES = [(96, 128), (90, 101), (96, 128)]
PEOPLE = [
    torch.tensor([[10.0, 8.0, 40.0, 90.0], [70.0, 10.0, 100.0, 80.0]]),
    torch.tensor([[30.5, 5.25, 61.0, 77.75]]),
    torch.zeros(0, 4),
]


def _both():
    torch.manual_seed(0)
    own = build_proposal_network(CONFIG, 8)
    theirs = RegionProposalNetwork(
        AnchorGenerator((CONFIG.anchor_sizes,), (CONFIG.anchor_ratios,)),
        ProposalHead(8, CONFIG.channels, 6),
        CONFIG.positive_iou,
        CONFIG.negative_iou,
        CONFIG.batch,
        0.5,
        {"training": 60, "testing": 40},
        {"training": 20, "testing": 10},
        CONFIG.nms,
    )
    theirs.min_size = CONFIG.min_size
    # Larger than the initialisation's, or every anchor would say the same.
    for parameter in own.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    theirs.load_state_dict(own.state_dict())
    return own, theirs


@pytest.mark.parametrize("training", [True, False])
def test_steps_give_the_numbers_of_torchvision(training):
    own, theirs = _both()
    features = torch.randn(3, 8, 12, 16)
    mine, its = features.clone().requires_grad_(), features.clone().requires_grad_()
    own.train(training), theirs.train(training)

    torch.manual_seed(5)
    targets = [{"boxes": people} for people in PEOPLE] if training else None
    expected, losses = theirs(ImageList(torch.zeros(3, 3, 96, 128), SIZES), {"0": its}, targets)
    state = torch.get_rng_state()

    torch.manual_seed(5)
    grid = own.anchors(mine, 8)
    answers = own.outputs(mine)
    found = own.propose(answers, grid, SIZES)
    assert len(found) == 3 and all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    if not training:
        return
    score, box = proposal_losses(answers, own.sample(grid, PEOPLE))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(score, losses["loss_objectness"]) and torch.equal(box, losses["loss_rpn_box_reg"])
    (score + box).backward()
    (losses["loss_objectness"] + losses["loss_rpn_box_reg"]).backward()
    assert float(box.detach()) > 0 and mine.grad is not None and its.grad is not None
    assert torch.equal(mine.grad, its.grad)
    for a, b in zip(own.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)  # type: ignore[arg-type]


def test_sample_names_anchors_labels_and_targets():
    own, _ = _both()
    features = torch.zeros(3, 8, 12, 16)
    grid = own.anchors(features, 8)
    assert grid.shape == (12 * 16 * 6, 4)
    sample = own.sample(grid, PEOPLE)
    assert len(sample.anchors) == len(sample.labels) == 3 * CONFIG.batch
    count = int(sample.labels.sum())
    assert 0 < count == len(sample.targets) == len(sample.foreground)
    assert bool(sample.labels[:count].all()) and not sample.labels[count:].any()
    # Decoding the targets on their anchors gives annotated people, of the image that the anchor lies in.
    anchors = grid[sample.foreground % len(grid)]
    boxes = own.box_coder.decode(sample.targets, [anchors]).view(-1, 4)
    for image, box in zip((sample.foreground // len(grid)).tolist(), boxes, strict=True):
        assert float((PEOPLE[image] - box).abs().sum(1).min()) < 1e-3


def test_half_precision_maps_have_the_anchors_of_full_precision():
    own, _ = _both()
    wide = torch.zeros(1, 8, 40, 300)
    assert torch.equal(own.anchors(wide.bfloat16(), 16), own.anchors(wide, 16))
