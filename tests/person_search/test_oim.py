"""OIM against numbers worked by hand, against a literal loop, and against autograd's own idea of the gradient."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from distillery.person_search import oim
from distillery.person_search.oim import (
    IdentificationTable,
    oim_loss,
    push_queue,
    update_table,
)


def _features(count: int, dimension: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)))


def test_loss_worked_by_hand():
    # x = (1, 0), table rows (1, 0) and (0, 1), one queue row (0.6, 0.8), tau = 0.5: logits 2, 0, 1.2.
    table, queue = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8]])
    x = torch.tensor([[1.0, 0.0]])
    total = math.exp(2) + 1 + math.exp(1.2)
    assert float(oim_loss(x, torch.tensor([0]), table, queue, 0.5)) == pytest.approx(-math.log(math.exp(2) / total))
    assert float(oim_loss(x, torch.tensor([1]), table, queue, 0.5)) == pytest.approx(-math.log(1 / total))


def test_gradient_worked_by_hand():
    # dL/dx = (sum_j p_j v_j + sum_k q_k u_k - v_t) / tau (equation 4 of the OIM paper, with its sign).
    table, queue = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8]])
    x = torch.tensor([[1.0, 0.0]], requires_grad=True)
    oim_loss(x, torch.tensor([0]), table, queue, 0.5).backward()
    weights = [math.exp(2), 1.0, math.exp(1.2)]
    p, q, u = (weight / sum(weights) for weight in weights)
    assert x.grad is not None
    assert x.grad[0].tolist() == pytest.approx([(p + 0.6 * u - 1) / 0.5, (q + 0.8 * u) / 0.5])


def _literal_loss(features, ids, table, queue, temperature):
    """The reference codes: all similarities, over the temperature, cross-entropy of the labelled."""
    logits = torch.cat([features @ table.T, features @ queue.T], 1) / temperature
    return F.cross_entropy(logits, ids.where(ids >= 0, -100), ignore_index=-100)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(-1, 4), min_size=1, max_size=20).filter(lambda ids: max(ids) >= 0),
    st.integers(0, 7),
    st.sampled_from([1.0, 0.1, 1 / 30]),
    st.integers(0, 99),
)
def test_loss_and_gradient_equal_the_reference(ids, queued, temperature, seed):
    labels = torch.tensor(ids)
    table, queue = _features(5, 6, seed + 1), _features(queued, 6, seed + 2)
    ours, theirs = (_features(len(ids), 6, seed).requires_grad_() for _ in range(2))
    loss, expected = (f(x, labels, table, queue, temperature) for f, x in ((oim_loss, ours), (_literal_loss, theirs)))
    torch.testing.assert_close(loss, expected)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("labelled", "queued"), [(30, 9000), (64, 5000), (1, 0)])
def test_many_columns_give_the_same_loss_and_gradient(labelled, queued):
    """From `_MANY` logits on other products are taken, where the machine has them."""
    assert labelled == 1 or labelled * (3000 + queued) >= oim._MANY
    table, queue = _features(3000, 32, 1), _features(queued, 32, 2)
    ids = torch.cat([torch.arange(labelled), torch.full((5,), -1)])
    ours, theirs = (_features(len(ids), 32, 3).requires_grad_() for _ in range(2))
    loss, expected = (f(x, ids, table, queue, 1 / 30) for f, x in ((oim_loss, ours), (_literal_loss, theirs)))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-5)
    assert not ours.grad[labelled:].any()


def test_extreme_similarities_do_not_overflow():
    x = torch.tensor([[1.0, 0.0]], requires_grad=True)
    table, queue = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.zeros(1, 2)
    assert float(oim_loss(x, torch.tensor([1]), table, queue, 1e-3).detach()) == pytest.approx(2000)
    loss = oim_loss(x, torch.tensor([0]), table, queue, 1e-3)
    loss.backward()
    assert float(loss.detach()) == 0 and x.grad is not None and not x.grad.any()


def test_loss_is_single_precision_under_autocast():
    features, table = _features(4, 16, 0), _features(9, 16, 1)
    expected = oim_loss(features, torch.arange(4), table, _features(3, 16, 2), 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        found = oim_loss(features, torch.arange(4), table, _features(3, 16, 2), 0.1)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


def test_no_second_derivative_is_claimed():
    x = _features(2, 4, 0).requires_grad_()
    loss = oim_loss(x, torch.tensor([0, 1]), _features(3, 4, 1), _features(2, 4, 2), 0.1)
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        first.sum().backward()


def test_zero_rows_compete_with_similarity_zero():
    x = torch.tensor([[1.0, 0.0]])
    loss = oim_loss(x, torch.tensor([0]), torch.tensor([[1.0, 0.0]]), torch.zeros(3, 2), 0.1)
    assert float(loss) == pytest.approx(-math.log(math.exp(10) / (math.exp(10) + 3)), rel=1e-3)


def test_mean_runs_over_labelled_features_only():
    features, table, queue = _features(6, 4, 0), _features(3, 4, 1), _features(2, 4, 2)
    ids = torch.tensor([0, -1, 2, -1, -1, 1])
    single = [oim_loss(features[i : i + 1], ids[i : i + 1], table, queue, 0.1) for i in (0, 2, 5)]
    assert float(oim_loss(features, ids, table, queue, 0.1)) == pytest.approx(float(torch.stack(single).mean()))


@pytest.mark.parametrize("ids", [[], [-1, -1]])
def test_without_a_label_the_loss_is_zero_and_keeps_its_path(ids):
    features = torch.randn(len(ids), 4, requires_grad=True)
    loss = oim_loss(features, torch.tensor(ids, dtype=torch.int64), _features(3, 4, 1), _features(2, 4, 2), 0.1)
    loss.backward()
    assert float(loss.detach()) == 0
    assert features.grad is not None and not features.grad.any()


def _literal_table(table, features, ids, momentum):
    """The loop of the reference codes: one region after another."""
    table = table.clone()
    for x, identity in zip(features, ids.tolist(), strict=True):
        if identity >= 0:
            table[identity] = momentum * table[identity] + (1 - momentum) * x
            table[identity] = table[identity] / table[identity].norm()
    return table


def _literal_queue(queue, pointer, features):
    queue = queue.clone()
    for x in features:
        queue[pointer] = x
        pointer = (pointer + 1) % len(queue)
    return queue, pointer


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-1, 4), max_size=20), st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.integers(0, 99))
def test_table_equals_the_loop_over_regions(ids, momentum, seed):
    table, features = _features(5, 6, seed), _features(len(ids), 6, seed + 100)
    labels = torch.tensor(ids, dtype=torch.int64)
    expected = _literal_table(table, features, labels, momentum)
    updated = table.clone()
    update_table(updated, features, labels, momentum)
    torch.testing.assert_close(updated, expected)
    untouched = [row for row in range(5) if row not in ids]
    assert torch.equal(updated[untouched], table[untouched])
    torch.testing.assert_close(updated.norm(dim=1), torch.ones(5))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 7), st.integers(0, 20), st.data())
def test_queue_equals_the_loop_over_regions(size, count, data):
    pointer = data.draw(st.integers(0, size - 1))
    queue, features = _features(size, 3, 1), _features(count, 3, 2)
    expected, expected_position = _literal_queue(queue, pointer, features)
    found = queue.clone()
    position = push_queue(found, pointer, features)
    assert torch.equal(found, expected) and position == expected_position


def test_a_zero_feature_does_not_make_a_row_nan():
    table = torch.zeros(2, 3)
    update_table(table, torch.zeros(1, 3), torch.tensor([1]), 0.5)
    assert not table.isnan().any()


def _table(queue: int = 3, rows: torch.Tensor | None = None) -> IdentificationTable:
    return IdentificationTable(4, 8, queue, temperature=0.1, momentum=0.5, rows=rows)


def test_online_table_starts_at_zero_and_learns_whole_features():
    table, features = _table(), _features(3, 8, 0)
    assert not table.table.any() and not table.queue.any()
    table.update(features, torch.tensor([2, -1, -1]))
    torch.testing.assert_close(table.table[2], features[0])
    # All dimensions enter the queue (the Caffe layer copies the first 64 numbers only).
    assert torch.equal(table.queue[:2], features[1:]) and int(table.pointer) == 2
    assert not table.table[[0, 1, 3]].any()


def test_fixed_table_is_never_updated_while_the_queue_moves():
    rows = _features(4, 8, 5)
    table = _table(rows=rows)
    for step in range(4):
        table.update(_features(3, 8, step), torch.tensor([0, -1, 3]))
    assert torch.equal(table.table, rows)
    assert int(table.pointer) == 1 and bool(table.queue.any(dim=1).all())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-1, 3), max_size=12), st.data())
def test_parts_of_a_batch_in_order_give_what_the_whole_gives(ids, data):
    """Gradient accumulation: the features of the parts, in their order, are those of the whole batch."""
    whole, parts = _table(queue=3), _table(queue=3)
    features, labels = _features(len(ids), 8, 7), torch.tensor(ids, dtype=torch.int64)
    cut = data.draw(st.integers(0, len(ids)))
    for warm in range(2):
        for table in (whole, parts):
            table.update(_features(3, 8, warm), torch.tensor([warm, -1, -1]))
    whole.update(features, labels)
    parts.update(features[:cut], labels[:cut])
    parts.update(features[cut:], labels[cut:])
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value)


def test_given_rows_that_are_not_frozen_are_where_the_table_starts():
    rows = _features(4, 8, 5)
    table = IdentificationTable(4, 8, 0, temperature=0.1, momentum=0.5, rows=rows, frozen=False)
    assert torch.equal(table.table, rows)
    x = _features(1, 8, 6)
    table.update(x, torch.tensor([2]))
    torch.testing.assert_close(table.table[2], F.normalize(rows[2] + x[0], dim=0))
    assert torch.equal(table.table[[0, 1, 3]], rows[[0, 1, 3]])


def test_everything_is_in_the_state_dict():
    table = _table()
    table.update(_features(3, 8, 0), torch.tensor([2, -1, -1]))
    restored = _table()
    restored.load_state_dict(table.state_dict())
    assert set(table.state_dict()) == {"table", "queue", "pointer"}
    for batch in range(2):
        features, ids = _features(3, 8, batch), torch.tensor([-1, -1, 0])
        table.update(features, ids)
        restored.update(features, ids)
    assert all(torch.equal(table.state_dict()[name], value) for name, value in restored.state_dict().items())


def test_a_queue_of_length_zero_is_switched_off():
    table = _table(queue=0)
    table.update(_features(2, 8, 0), torch.tensor([-1, 1]))
    assert float(table(_features(1, 8, 3), torch.tensor([1]))) > 0


def test_update_after_backward_keeps_the_gradient():
    table = _table(rows=None)
    features = _features(2, 8, 0).requires_grad_()
    loss = table(features, torch.tensor([1, 2]))
    loss.backward()
    table.update(features, torch.tensor([1, 2]))
    assert features.grad is not None and not table.table.requires_grad
