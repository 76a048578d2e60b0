"""QSSE-Net, QRPN and QSimNet by themselves: against formulas written out, and at their start."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from distillery.config.search_network import ResNetShape
from distillery.person_search.guidance import (
    Gate,
    GuidedStem,
    QueryProposals,
    Similarity,
    mean_over,
    similarity_loss,
)
from distillery.person_search.resnet import Stem

BASIC = ResNetShape(block="basic", depths=(1, 2, 1, 1), width=4, stem_blocks=1, stride=8, norm="batch")
BOTTLENECK = ResNetShape(block="bottleneck", depths=(1, 1, 2, 1), width=2, stem_blocks=1, stride=16, norm="batch")


def stem_of(shape: ResNetShape, guided: str = "conv2") -> tuple[Stem, GuidedStem]:
    torch.manual_seed(0)
    stem = Stem(shape)
    for part in stem.modules():  # statistics that matter
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    return stem, GuidedStem(stem, guided, 4)


def opened(guidance: GuidedStem) -> GuidedStem:
    """Gates as after some training."""
    for gate in guidance.gates:
        torch.nn.init.normal_(gate.excite.weight)
        torch.nn.init.normal_(gate.excite.bias)
    return guidance


def literal(stem: Stem, guidance: GuidedStem, gallery, query, guided: str):
    """Both images through the stem, one block after the other, as the module's head describes it."""
    stages = ["layer1", "layer2", "layer3"]
    first = stages.index({"conv2": "layer1", "conv3": "layer2", "conv4": "layer3"}[guided])
    x, y = (stem.maxpool(F.relu(stem.bn1(stem.conv1(image)))) for image in (gallery, query))
    gates = iter(guidance.gates)
    for number, stage in enumerate(stages):
        for block in getattr(stem, stage):
            if number < first:
                x, y = block(x), block(y)
                continue
            halves = []
            for z in (x, y):
                out = F.relu(block.bn1(block.conv1(z)))
                out = block.bn2(block.conv2(out))
                if hasattr(block, "conv3"):
                    out = block.bn3(block.conv3(F.relu(out)))
                halves.append((z if block.downsample is None else block.downsample(z), out))
            gate = next(gates)
            described = torch.cat([halves[1][1].mean((2, 3)), halves[0][1].mean((2, 3))], 1)
            factor = 2 * torch.sigmoid(gate.excite(F.relu(gate.squeeze(described))))[:, :, None, None]
            x, y = (F.relu(shortcut + factor * branch) for shortcut, branch in halves)
    assert next(gates, None) is None
    return x, y


@pytest.mark.parametrize("shape", [BASIC, BOTTLENECK])
@pytest.mark.parametrize("guided", ["conv2", "conv3", "conv4"])
@torch.no_grad()
def test_pairs_go_through_the_stem_as_written_out(shape, guided):
    stem, guidance = stem_of(shape, guided)
    stem.eval()
    opened(guidance)
    gallery, query = torch.randn(3, 3, 64, 96), torch.randn(3, 3, 64, 96)
    begun = [guidance.begin(stem, images, [(64, 96)] * 3) for images in (gallery, query)]
    found = guidance.meet(stem, *begun)
    expected = literal(stem, guidance, gallery, query, guided)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == (3, stem.channels, 64 // stem.stride, 96 // stem.stride)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert (found[0] - stem(gallery)).abs().max() > 0.1


@torch.no_grad()
def test_untrained_gates_are_one():
    stem, guidance = stem_of(BASIC)
    stem.eval()
    gallery, query = torch.randn(2, 3, 64, 96), torch.randn(2, 3, 48, 64)
    begun = [
        guidance.begin(stem, images, [tuple(images.shape[2:])] * 2)  # type: ignore[list-item]
        for images in (gallery, query)
    ]
    for found, images in zip(guidance.meet(stem, *begun), (gallery, query), strict=True):
        torch.testing.assert_close(found, stem(images), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_one_query_meets_many_images_as_one_after_the_other():
    stem, guidance = stem_of(BASIC)
    stem.eval()
    opened(guidance)
    gallery, query = torch.randn(4, 3, 64, 96), torch.randn(1, 3, 80, 64)
    begun = guidance.begin(stem, gallery, [(64, 96)] * 4)
    one = guidance.begin(stem, query, [(75, 60)])
    maps = guidance.meet(stem, begun, one.expanded(4))
    for k in range(4):
        single = begun.chosen(slice(k, k + 1))
        for many, alone in zip(maps, guidance.meet(stem, single, one), strict=True):
            torch.testing.assert_close(many[k : k + 1], alone, rtol=1e-4, atol=1e-5)


def test_images_of_one_size_share_batch_statistics():
    stem, guidance = stem_of(BASIC)
    stem.train()
    images = torch.randn(4, 3, 64, 96)
    begun = guidance.begin(stem, images, [(64, 96)] * 4)
    halves = [begun.chosen(slice(k, k + 2)) for k in (0, 2)]
    found = torch.cat(guidance.meet(stem, *halves))
    torch.testing.assert_close(found, stem(images), rtol=1e-4, atol=1e-4)


def test_mean_leaves_out_padding():
    maps = torch.arange(24.0).reshape(1, 1, 4, 6).repeat(2, 1, 1, 1)
    found = mean_over(maps, [(32, 48), (17, 24)], (32, 48))
    # 17 of 32 rows reach into the third cell of four; 24 of 48 columns fill three of six.
    assert found.flatten().tolist() == [11.5, float(maps[0, 0, :3, :3].mean())]
    assert torch.equal(mean_over(maps, [(32, 48)] * 2, (32, 48)), maps.mean((2, 3)))


def test_a_stem_without_guided_blocks():
    shape = BASIC.model_copy(update={"stem_blocks": 0})
    with pytest.raises(ValueError, match="no block from conv4 on"):
        GuidedStem(Stem(shape), "conv4", 16)
    assert len(GuidedStem(Stem(shape), "conv3", 16).gates) == 2


def test_gate_learns_although_it_starts_at_one():
    torch.manual_seed(0)
    gate = Gate(8, 4, 2)
    described = torch.randn(3, 8)
    assert torch.equal(gate(described), torch.ones(3, 4, 1, 1))
    gate(described).sum().backward()
    assert gate.excite.weight.grad.abs().sum() > 0 and gate.excite.bias.grad.abs().sum() > 0
    assert gate.squeeze.out_features == 4


@torch.no_grad()
def test_query_proposals_as_written_out():
    torch.manual_seed(0)
    network = QueryProposals(8, 6, 3, 4)
    features, regions = torch.randn(2, 8, 5, 7), torch.randn(2, 8, 3, 2)
    assert not network(features, regions).any()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    found = network(features, regions)
    assert found.shape == (2, 3, 5, 7)
    gate = network.gate
    factor = 2 * torch.sigmoid(gate.excite(F.relu(gate.squeeze(regions.flatten(2).mean(2)))))
    hidden = F.relu(network.conv(features * factor[:, :, None, None]))
    torch.testing.assert_close(found, network.score(hidden))
    # Each image has its own query.
    assert not torch.allclose(found[0], network(features, regions.flip(0))[0])


@torch.no_grad()
def test_similarity_starts_in_the_order_of_the_cosine():
    torch.manual_seed(0)
    network = Similarity(16).eval()
    query, gallery = F.normalize(torch.randn(1, 16)), F.normalize(torch.randn(40, 16))
    odds = network.log_odds(query.expand(40, -1), gallery)
    assert torch.equal(odds.argsort(), (gallery @ query[0]).argsort())
    assert odds.shape == (40,) and float(network.log_odds(query, query)) == 0


@torch.no_grad()
def test_similarity_by_hand():
    network = Similarity(2).eval()
    network.norm.running_mean.copy_(torch.tensor([1.0, 0.0]))
    network.norm.running_var.copy_(torch.tensor([4.0, 1.0]))
    network.norm.weight.copy_(torch.tensor([2.0, 1.0]))
    network.norm.bias.copy_(torch.tensor([0.0, 0.5]))
    network.layer.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
    network.layer.bias.copy_(torch.tensor([0.25, 0.0]))
    # Squares 9 and 4 are normalised to 8 and 4.5; "different" 8 + 9 + .25, "same" -4.5.
    query, gallery = torch.tensor([[1.0, 1.0]]), torch.tensor([[-2.0, 3.0]])
    torch.testing.assert_close(network(query, gallery), torch.tensor([[17.25, -4.5]]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network.log_odds(query, gallery), torch.tensor([-21.75]), rtol=1e-4, atol=1e-4)


def test_similarity_of_one_pair_has_no_variance():
    torch.manual_seed(0)
    network = Similarity(4)
    query, gallery = torch.randn(1, 4), torch.randn(1, 4)
    found = network(query, gallery)
    assert torch.equal(found, network.eval()(query, gallery))
    assert not network.norm.running_mean.any()


def test_similarity_loss_by_hand():
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0]], requires_grad=True)
    loss = similarity_loss(logits, torch.tensor([True, False]))
    torch.testing.assert_close(loss, (torch.tensor(2.0).log() + (1 + torch.tensor(-2.0).exp()).log()) / 2)
    nothing = similarity_loss(logits[:0], torch.zeros(0, dtype=torch.bool))
    assert float(nothing.detach()) == 0
    nothing.backward()
    assert not logits.grad.any()


@torch.no_grad()
def test_an_image_alone_meets_itself():
    stem, guidance = stem_of(BASIC)
    stem.eval()
    opened(guidance)
    begun = guidance.begin(stem, torch.randn(2, 3, 64, 96), [(64, 96), (50, 90)])
    torch.testing.assert_close(guidance.alone(stem, begun), guidance.meet(stem, begun, begun)[0])
