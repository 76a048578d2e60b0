"""The OIM network: its size, its losses, and what it finds."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from distillery.config.search_network import Identification, Proposals, Regions, ResNetShape
from distillery.person_search.network import LOSSES, Batch, OIMNetwork
from distillery.person_search.regions import (
    BOX_CODER,
    decode_detections,
    detection_losses,
    pool_regions,
    sample_regions,
)

SHAPE = ResNetShape(block="basic", depths=(1, 1, 2, 1), width=4, stem_blocks=1, stride=8, norm="batch")
PROPOSALS = Proposals(
    channels=16, anchor_sizes=(32, 64), anchor_ratios=(2.5,), pre_nms=(40, 40), post_nms=(20, 10), batch=32
)
REGIONS = Regions(batch=16, positive_fraction=0.5)


def _network(shape=SHAPE, identities=5, rows=None, **identification) -> OIMNetwork:
    torch.manual_seed(0)
    options = {"dimension": 8, "queue": 6, "batch_norm": True} | identification
    return OIMNetwork(shape, PROPOSALS, REGIONS, Identification(**options), identities, rows)


def _batch(ids=(0, -1)) -> Batch:
    torch.manual_seed(1)
    boxes = torch.tensor([[10.0, 8.0, 40.0, 90.0], [70.0, 10.0, 100.0, 80.0]])
    return Batch(
        torch.randn(2, 3, 96, 128), [(96, 128)] * 2, [boxes, boxes[:1]], [torch.tensor(ids), torch.tensor(ids[:1])]
    )


def test_full_size_has_the_parameters_of_the_official_network():
    shape = ResNetShape(norm="batch")
    with torch.device("meta"):
        network = OIMNetwork(shape, Proposals(), Regions(), Identification(), 5532)
    backbone = 23_508_032
    proposals = (1024 * 512 * 9 + 512) + (512 * 9 + 9) + (512 * 36 + 36)
    layers = (2048 * 2 + 2) + (2048 * 8 + 8) + (2048 * 256 + 256)
    assert sum(parameter.numel() for parameter in network.parameters()) == backbone + proposals + layers
    assert network.identification.table.shape == (5532, 256)
    assert network.identification.queue.shape == (5000, 256)


def test_five_losses_each_with_a_gradient():
    # An online table starts from zeros, which give the id feature no gradient yet.
    network = _network(rows=torch.eye(8)[:5]).train()
    outputs = network(_batch())
    terms, identified = network.losses(outputs), outputs.identified
    assert tuple(terms) == LOSSES
    torch.stack(list(terms.values())).sum().backward()
    reached = {
        "rpn_score": network.proposals.head.score,
        "rpn_box": network.proposals.head.box,
        "score": network.layers.score,
        "box": network.layers.box,
        "identity": network.layers.identity,
    }
    for name, layer in reached.items():
        assert terms[name].isfinite(), name
        assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0, name
    torch.testing.assert_close(identified.features.norm(dim=1), torch.ones(len(identified.features)))
    # Every annotated person is among the regions, since the annotation is added to the proposals.
    assert set(identified.ids.tolist()) == {0, -1}


def test_forward_changes_neither_table_nor_queue():
    network = _network().train()
    identified = network(_batch()).identified
    assert not network.identification.table.any() and not network.identification.queue.any()
    network.identification.update(*identified)
    assert network.identification.table[0].any() and network.identification.queue.any()
    assert not network.identification.table[1:].any()


def test_batch_without_a_labelled_person():
    network = _network().train()
    terms = network.losses(network(_batch(ids=(-1, -1))))
    assert float(terms["identity"].detach()) == 0
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_batch_without_any_person():
    network = _network().train()
    nobody = Batch(torch.randn(1, 3, 96, 128), [(96, 128)], [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)])
    outputs = network(nobody)
    terms, identified = network.losses(outputs), outputs.identified
    torch.stack(list(terms.values())).sum().backward()
    network.identification.update(*identified)
    assert len(identified.ids) == 0 and all(term.isfinite() for term in terms.values())


def test_outputs_name_what_the_losses_are_made_of():
    network = _network().train()
    outputs = network(_batch())
    anchors = 2 * 12 * 16 * len(PROPOSALS.anchor_sizes)
    assert outputs.features.shape == (2, network.stem.channels, 12, 16)
    assert outputs.anchors.logits.shape == (anchors,) and outputs.anchors.deltas.shape == (anchors, 4)
    regions = [len(boxes) for boxes in outputs.boxes]
    assert len(regions) == 2 and max(regions) <= REGIONS.batch
    assert outputs.regions.scores.shape == (sum(regions), 2) and outputs.regions.deltas.shape == (sum(regions), 8)
    assert torch.equal(outputs.sample.boxes, torch.cat(outputs.boxes))
    assert outputs.identified is not None
    assert len(outputs.identified.ids) == int(outputs.sample.foreground.sum()) > 0


def test_detector_neither_identifies_nor_keeps_a_table():
    torch.manual_seed(0)
    network = OIMNetwork(SHAPE, PROPOSALS, REGIONS, None).train()
    assert not any("identi" in name or "norm" in name.split(".") for name in network.state_dict())
    outputs = network(_batch())
    terms = network.losses(outputs)
    assert outputs.identified is None and tuple(terms) == LOSSES[:-1]
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    with torch.no_grad():
        found = network.eval().detect(network.stem(torch.randn(1, 3, 96, 128)), (96, 128))
    assert len(found.boxes) > 0 and found.features.shape == (len(found.boxes), 0)


def test_detections_lie_in_the_image_and_query_needs_no_detector():
    network = _network().eval()
    image = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        features = network.stem(image)
        found = network.detect(features, (90, 120))
        boxes = torch.tensor([[10.0, 8.0, 40.0, 90.0]])
        described = network.describe(features, boxes)
        alone = network.describe(features, torch.cat([boxes, boxes + 5]))[:1]
    assert len(found.boxes) == len(found.scores) == len(found.features) <= REGIONS.detections
    assert bool((found.boxes >= 0).all()) and bool((found.boxes <= torch.tensor([120.0, 90.0] * 2)).all())
    assert bool((found.scores[:-1] >= found.scores[1:]).all())
    torch.testing.assert_close(described.norm(dim=1), torch.ones(1))
    torch.testing.assert_close(described, alone)


def test_equal_seeds_give_equal_networks_with_and_without_a_table():
    plain, distilled = (
        _network(),
        _network(rows=F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(9)))),
    )
    shared = [name for name, _ in plain.named_parameters()]
    assert shared == [name for name, _ in distilled.named_parameters()]
    assert all(torch.equal(plain.state_dict()[name], distilled.state_dict()[name]) for name in shared)


def test_pooled_map_is_halved_by_conv5():
    network = _network().eval()
    maps: list[torch.Size] = []
    network.head.layer4.register_forward_hook(lambda module, inputs, output: maps.append(output.shape))
    with torch.no_grad():
        network.describe(network.stem(torch.randn(1, 3, 96, 128)), torch.tensor([[10.0, 8.0, 40.0, 90.0]]))
    assert maps[0][-2:] == (7, 7)


def test_one_region_alone_passes_the_batch_norm():
    network = _network().train()
    assert network.layers.describe(torch.randn(1, network.head.channels)).isfinite().all()


def test_box_deltas_are_divided_by_the_official_deviations():
    region, person = torch.tensor([[0.0, 0.0, 10.0, 20.0]]), torch.tensor([[1.0, 2.0, 21.0, 22.0]])
    # Centre moves by 6 of 10 and by 2 of 20 pixels, width doubles, height stays.
    expected = torch.tensor([[0.6 / 0.1, 0.1 / 0.1, torch.log(torch.tensor(2.0)) / 0.2, 0.0]])
    torch.testing.assert_close(BOX_CODER.encode_single(person, region), expected)


def test_sampled_regions():
    torch.manual_seed(0)
    boxes, ids = torch.tensor([[0.0, 0.0, 10.0, 20.0], [50.0, 0.0, 60.0, 20.0]]), torch.tensor([3, -1])
    proposals = torch.tensor(
        [[0.0, 0.0, 10.0, 18.0], [50.0, 0.0, 60.0, 11.0], [0.0, 11.0, 10.0, 40.0], [100.0, 0.0, 110.0, 20.0]]
    )
    (sample,) = sample_regions([proposals], [boxes], [ids], Regions(batch=20, positive_fraction=0.5))
    assert sample.boxes.tolist() == [*proposals.tolist(), *boxes.tolist()]
    assert sample.foreground.tolist() == [True, True, False, False, True, True]
    assert sample.ids[sample.foreground].tolist() == [3, -1, 3, -1]
    torch.testing.assert_close(sample.targets[-2:], torch.zeros(2, 4))
    # The second and third proposal overlap a person by 0.55 and 0.23.
    (apart,) = sample_regions(
        [proposals], [boxes], [ids], Regions(batch=20, positive_fraction=0.5, positive_iou=0.6, negative_iou=0.3)
    )
    assert apart.foreground.tolist() == [True, False, False, True, True]
    (few,) = sample_regions([proposals], [boxes], [ids], Regions(batch=4, positive_fraction=0.25))
    assert len(few.boxes) == 3 and int(few.foreground.sum()) == 1  # there are no more than two of background


def test_detection_losses_worked_by_hand():
    scores, targets = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.5, 2.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]])
    score, box = detection_losses(scores, torch.zeros(2, 8), torch.tensor([True, False]), targets)
    assert torch.isclose(score, (torch.log(torch.tensor(2.0)) + torch.log(1 + torch.exp(torch.tensor(-2.0)))) / 2)
    # Smooth L1: 0.5 * 0.5^2 + (2 - 0.5), over two regions.
    assert torch.isclose(box, torch.tensor((0.125 + 1.5) / 2))


def test_decoding_suppresses_and_orders():
    regions = torch.tensor(
        [[0.0, 0.0, 10.0, 20.0], [0.0, 1.0, 10.0, 20.0], [50.0, 0.0, 60.0, 20.0], [80.0, 0.0, 90.0, 20.0]]
    )
    scores = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [9.0, 0.0]])
    boxes, probabilities, kept = decode_detections(scores, torch.zeros(4, 8), regions, (30, 55), Regions())
    assert kept.tolist() == [2, 1]
    torch.testing.assert_close(boxes, torch.tensor([[50.0, 0.0, 55.0, 20.0], [0.0, 1.0, 10.0, 20.0]]))
    torch.testing.assert_close(probabilities, torch.tensor([3.0, 2.0]).sigmoid())


def test_pooling_of_a_linear_ramp():
    ramp = torch.arange(32.0).view(1, 1, 1, 32).expand(1, 1, 32, 32).contiguous()
    box = [torch.tensor([[64.0, 64.0, 192.0, 192.0]])]
    pooled = pool_regions(ramp, box, 8, Regions(size=(2, 4)))
    # A cell's centre lies at (column + 0.5) * 8 pixels; bins of 32 pixels are centred at 80, 112, 144, 176.
    assert pooled.shape == (1, 1, 2, 4)
    torch.testing.assert_close(pooled[0, 0, 0], torch.tensor([80.0, 112.0, 144.0, 176.0]) / 8 - 0.5)
    assert pool_regions(ramp, box, 8, Regions(size=(2, 4), pooling="pool")).shape == (1, 1, 2, 4)
