"""The QEEPS network: at its start as OIM, its losses by hand, many pairs as one after the other."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from distillery.config.search_distillation import QueryGuidance
from distillery.config.search_jobs import SearchTraining
from distillery.errors import UserError
from distillery.person_search.network import Batch, OIMNetwork, build_network
from distillery.person_search.qeeps import LOSSES, QEEPSNetwork, build_qeeps
from person_search.search_jobs import SHAPE, search_training, student

SIZE = (104, 152)
GUIDANCE = QueryGuidance(reduction=2)


def qeeps_training(query: QueryGuidance = GUIDANCE, **changes) -> SearchTraining:
    return search_training(method="qeeps", query=query, **changes)


def seeded(build, seed: int = 0, **job):
    torch.manual_seed(seed)
    parameters = qeeps_training()
    return build(parameters, student(**job), 3)


def lively(network: OIMNetwork) -> OIMNetwork:
    """Statistics and box layers that matter, in evaluation mode."""
    torch.manual_seed(9)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    for layer in (network.layers.score, network.layers.box):
        torch.nn.init.normal_(layer.weight, std=0.3)
    torch.nn.init.normal_(network.proposals.head.score.weight)
    return network.eval()


def trained(network: QEEPSNetwork) -> QEEPSNetwork:
    """Gates, QRPN and QSimNet as after some training."""
    lively(network)
    for part in (network.guidance, network.query_proposals, network.similarity.layer):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return network


def people(count: int) -> torch.Tensor:
    corner = torch.rand(count, 2) * 60
    return torch.cat([corner, corner + torch.tensor([16.0, 40.0])], 1)


def pairs(count: int = 3, ids=((0, 1, -1), (2, -1), (1,)), wanted=(1, 0, 1)) -> Batch:
    torch.manual_seed(4)
    boxes = [people(len(row)) for row in ids]
    labels = [torch.tensor(row) for row in ids]
    query = Batch(
        torch.randn(count, 3, *SIZE),
        [SIZE] * count,
        [people(1) for _ in range(count)],
        [torch.tensor([one]) for one in wanted],
    )
    return Batch(torch.randn(count, 3, *SIZE), [SIZE] * count, boxes, labels, query)


@torch.no_grad()
def test_started_from_oim_it_finds_what_oim_finds_in_its_order():
    oim = lively(seeded(build_network))
    network = seeded(build_qeeps, seed=5).eval()
    missing, unexpected = network.load_state_dict(oim.state_dict(), strict=False)
    assert not unexpected and all(name.startswith(("guidance.", "query_proposals.", "similarity.")) for name in missing)
    gallery, query, box = torch.randn(2, 3, *SIZE), torch.randn(1, 3, 80, 120), people(1)
    begun, one = network.begin(gallery, [SIZE] * 2), network.begin(query, [(80, 120)])
    wanted = oim.describe(oim.stem(query), box)
    for image, found in enumerate(network.search(begun, one, box)):
        expected = oim.detect(oim.stem(gallery[image : image + 1]), SIZE)
        assert len(expected.boxes) > 1
        torch.testing.assert_close(found.boxes, expected.boxes, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(found.scores, expected.scores, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            found.similarity.argsort(), (expected.features @ wanted[0]).argsort(), msg="order of the cosine"
        )
    torch.testing.assert_close(network.look(gallery, [SIZE] * 2), oim.look(gallery, [SIZE] * 2), rtol=1e-4, atol=1e-5)


def test_equal_seeds_initialise_the_shared_parts_alike():
    oim, network = seeded(build_network).state_dict(), seeded(build_qeeps).state_dict()
    assert all(torch.equal(network[name], value) for name, value in oim.items())


@torch.no_grad()
def test_search_is_each_pair_written_out():
    network = trained(seeded(build_qeeps))
    gallery, query, box = torch.randn(3, 3, *SIZE), torch.randn(1, 3, 80, 120), people(1)
    begun, one = network.begin(gallery, [SIZE, (97, 150), SIZE]), network.begin(query, [(75, 118)])
    results = network.search(begun, one, box)
    sizes = set()
    for image, found in enumerate(results):
        single = begun.chosen(slice(image, image + 1))
        maps, others = network.guidance.meet(network.stem, single, one)
        outputs = network.proposals.outputs(maps)
        added = network.query_proposals(maps, network._pooled(others, [box])).permute(0, 2, 3, 1).flatten()
        assert added.abs().max() > 0.1
        grid = network.proposals.anchors(maps, 8)
        (regions,) = network.proposals.propose(outputs._replace(logits=outputs.logits + added), grid, single.sizes)
        pooled = network.pool(maps, [regions])
        probabilities = network.layers(pooled).scores.softmax(1)[:, 1]
        features = network.layers.describe(pooled)
        wanted = network.describe(others, box)
        logits = network.similarity.layer(network.similarity.norm((wanted - features).square()))
        # Every detection is one of the regions, with its person probability and its log-odds.
        both = torch.stack([found.scores, found.similarity], 1)
        of_regions = torch.stack([probabilities, logits.softmax(1)[:, 1].logit()], 1)
        nearest = torch.cdist(both, of_regions).min(1)
        assert len(found.boxes) > 0 and float(nearest.values.max()) < 1e-3
        assert len(set(nearest.indices.tolist())) == len(found.boxes)
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
        sizes.add(len(found.boxes))
        (alone,) = network.search(single, one, box)
        for many, few in zip(found, alone, strict=True):
            torch.testing.assert_close(many, few, rtol=1e-4, atol=1e-3)
    assert not torch.equal(results[0].similarity, results[2].similarity)


@torch.no_grad()
def test_fewer_proposals_are_the_first_of_both_scores():
    network = trained(seeded(build_qeeps))
    gallery, query, box = torch.randn(1, 3, *SIZE), torch.randn(1, 3, *SIZE), people(1)
    begun, one = network.begin(gallery, [SIZE]), network.begin(query, [SIZE])
    (every,) = network.search(begun, one, box)
    network.post_nms = 2
    (some,) = network.search(begun, one, box)
    assert 0 < len(some.boxes) <= 2 < len(every.boxes)


def test_losses_by_hand():
    network = seeded(build_qeeps).train()
    batch = pairs()
    torch.manual_seed(1)
    outputs = network(batch)
    terms = network.losses(outputs)
    assert set(LOSSES) < set(terms) and len(terms) == 7
    answers = outputs.added
    # Image 0 holds the person of its query, image 1 another one, image 2 the person again.
    counts = [len(boxes) for boxes in outputs.boxes]
    images = torch.tensor([image for image, count in enumerate(counts) for _ in range(count)])
    foreground, ids = outputs.sample.foreground, outputs.sample.ids
    same = torch.tensor([1, 0, 1])[images[foreground]] == ids[foreground]
    assert torch.equal(answers.same, same) and same.any() and not same.all()
    logits = answers.pairs.log_softmax(1)
    expected = -torch.where(same, logits[:, 1], logits[:, 0]).mean()
    torch.testing.assert_close(terms["similarity"], expected)
    # QRPN starts at zero: every anchor says log 2.
    assert answers.wanted.any() and not answers.wanted.all()
    torch.testing.assert_close(terms["query_proposals"], torch.tensor(2.0).log())
    torch.testing.assert_close(
        terms["query_proposals"], F.binary_cross_entropy_with_logits(answers.anchors, answers.wanted)
    )


def test_query_proposals_learn_the_anchors_of_the_person_searched_for():
    network = seeded(build_qeeps).train()
    # Untrained features tell nothing, so the logits name their anchors themselves.
    batch = pairs()
    maps = network.stem(batch.images)
    grid = network.proposals.anchors(maps, 8)
    rows = torch.arange(3.0 * len(grid))
    chosen, wanted = network._learnt_from(rows, maps, batch, torch.tensor([1, 0, 1]))
    images, anchors = chosen.long() // len(grid), grid[chosen.long() % len(grid)]
    from torchvision.ops import box_iou

    for image, box in ((0, batch.boxes[0][1]), (2, batch.boxes[2][0])):
        overlap = box_iou(anchors[images == image], box[None])[:, 0]
        assert wanted[images == image].bool().any()
        # Foreground overlaps enough, or as much as any anchor does.
        best = float(box_iou(grid, box[None]).max())
        assert float(overlap[wanted[images == image].bool()].min()) >= min(0.7, best) - 1e-6
        assert float(overlap[~wanted[images == image].bool()].max()) < 0.7
    assert not wanted[images == 1].any() and (images == 1).any()
    chosen, _ = network._learnt_from(rows, maps, batch, torch.tensor([1, -1, 1]))
    assert not (chosen.long() // len(grid) == 1).any()


def test_every_part_learns_and_neither_table_nor_queue_changes():
    network = seeded(build_qeeps).train()
    before = {name: value.clone() for name, value in network.identification.state_dict().items()}
    outputs = network(pairs())
    torch.stack(list(network.losses(outputs).values())).sum().backward()
    idle = [name for name, value in network.named_parameters() if value.grad is None]
    assert not idle
    for name in ("guidance.gates.0.excite.weight", "query_proposals.score.weight", "similarity.layer.weight"):
        assert network.get_parameter(name).grad.abs().sum() > 0
    after = network.identification.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_query_beyond_the_table_takes_part_in_oim_alone():
    network = seeded(build_qeeps).train()
    outputs = network(pairs(wanted=(7, -1, 3)))  # the table has three rows
    terms = network.losses(outputs)
    assert float(terms["query_proposals"].detach()) == float(terms["similarity"].detach()) == 0
    assert float(terms["identity"].detach()) > 0
    torch.stack(list(terms.values())).sum().backward()


def test_batch_without_any_person():
    network = seeded(build_qeeps).train()
    terms = network.losses(network(pairs(ids=((), (), ()), wanted=(0, 1, 2))))
    assert all(bool(torch.isfinite(value)) for value in terms.values())
    torch.stack(list(terms.values())).sum().backward()


def test_proposal_network_learns_from_its_own_scores():
    network = trained(seeded(build_qeeps)).train()
    for part in network.modules():  # the second pass must see the same statistics
        if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            part.eval()
    batch = pairs()
    outputs = network(batch)
    torch.testing.assert_close(outputs.anchors.logits, network.proposals.outputs(outputs.features).logits)


def test_refuses_parameters_without_guidance_or_id_feature():
    with pytest.raises(UserError, match="query: a QEEPS network needs"):
        build_qeeps(search_training(), student(), 3)
    with pytest.raises(UserError, match="identification: a QEEPS network needs"):
        build_qeeps(qeeps_training(), student(identification=None), 3)
    shape = SHAPE.model_copy(update={"stem_blocks": 0})
    with pytest.raises(UserError, match=r"query\.guided: guides the stem from conv4 on"):
        build_qeeps(qeeps_training(QueryGuidance(guided="conv4")), student(shape=shape), 3)
