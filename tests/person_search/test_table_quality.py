"""The numbers that stand beside a table, against worked ones and a literal loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from distillery.person_search import table_quality
from distillery.person_search.lookup import mean_rows
from distillery.person_search.table_quality import against_rows, between_rows, held_out, mean_cosine


def test_worked_by_hand():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    features, ids = torch.tensor([[1.0, 0.0], [0.8, 0.6]]), torch.tensor([0, 1])
    assert between_rows(rows)["inter_class"] == pytest.approx((0.0 + 0.6 + 0.8) / 3)
    assert between_rows(rows)["nearest"] == pytest.approx((0.6 + 0.8 + 0.8) / 3)
    numbers = against_rows(rows, features, ids)
    assert numbers["intra_class"] == pytest.approx((1.0 + 0.6) / 2)
    assert numbers["top1"] == pytest.approx(0.5)
    assert mean_cosine(rows, rows[[1, 1, 1]]) == pytest.approx((0.0 + 1.0 + 0.8) / 3)


def test_one_row_has_no_other():
    assert between_rows(torch.tensor([[1.0, 0.0]])) == {"inter_class": 0.0, "nearest": 0.0}


def test_held_out_crop_does_not_find_itself():
    # Two pictures of person 0 look nothing alike; the second looks like person 1. On the table made of them all, the
    # first finds its row, as it is half of it; kept out, it finds nothing.
    features = F.normalize(torch.tensor([[1.0, 0.1, 0.0], [0.0, 1.0, 0.1], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))
    ids = torch.tensor([0, 0, 1, 1])
    rows = mean_rows(features, ids, 2)
    assert against_rows(rows, features, ids)["top1"] == 0.75
    assert held_out(features, ids, 2) == {"held_out": 4.0, "held_out_top1": 0.5}


def test_single_crops_are_only_there_to_be_mistaken_for():
    features = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.2], [1.0, 0.1]]))
    # The row of 1, which is its only crop, lies between those of 0.
    assert held_out(features, torch.tensor([0, 0, 1]), 2) == {"held_out": 2.0, "held_out_top1": 0.0}
    assert held_out(features[:2], torch.tensor([0, 1]), 2) == {"held_out": 0.0}


@given(seed=st.integers(0, 10**6), identities=st.integers(1, 6), extra=st.integers(0, 8), block=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_equal_to_a_literal_loop(seed, identities, extra, block):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.cat([torch.arange(identities), torch.randint(identities, (extra,), generator=generator)])
    features = F.normalize(torch.randn(len(ids), 4, generator=generator))
    rows, kept_out = mean_rows(features, ids, identities), []
    for index in range(len(ids)):
        others = [row for row in range(len(ids)) if ids[row] == ids[index] and row != index]
        if others:
            changed = rows.clone()
            changed[ids[index]] = F.normalize(features[others].sum(0), dim=0)
            kept_out.append(int((changed @ features[index]).argmax()) == int(ids[index]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_quality, "_BLOCK", block)
        numbers = held_out(features, ids, identities)
        own, between = against_rows(rows, features, ids), between_rows(rows)
    assert numbers["held_out"] == len(kept_out)
    if kept_out:
        assert numbers["held_out_top1"] == pytest.approx(sum(kept_out) / len(kept_out))
    cosines = [float(rows[i] @ rows[j]) for i in range(identities) for j in range(identities) if i != j]
    nearest = [max(float(rows[i] @ rows[j]) for j in range(identities) if i != j) for i in range(identities) if cosines]
    assert between["inter_class"] == pytest.approx(sum(cosines) / max(len(cosines), 1), abs=1e-5)
    assert between["nearest"] == pytest.approx(sum(nearest) / max(len(nearest), 1), abs=1e-5)
    assert own["top1"] == pytest.approx(float(((features @ rows.T).argmax(1) == ids).float().mean()))
