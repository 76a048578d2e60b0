"""The table of ID features: its rows, its numbers, its refusals."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from distillery.errors import UserError
from distillery.person_search.lookup import load_table, mean_rows, random_rows, save_table


def test_mean_worked_by_hand():
    # Features of any length count equally: (1, 0) and (0, 1) give the diagonal.
    features = torch.tensor([[5.0, 0.0], [0.0, -3.0], [0.0, 0.5]])
    rows = mean_rows(features, torch.tensor([1, 0, 1]), 2)
    half = math.sqrt(0.5)
    torch.testing.assert_close(rows, torch.tensor([[0.0, -1.0], [half, half]]))


def test_identity_without_a_feature():
    with pytest.raises(UserError, match="identity 1 has no image to compute a feature from"):
        mean_rows(torch.eye(3)[:2], torch.tensor([0, 2]), 3)


@pytest.mark.parametrize("identity", [-1, 3, 7])
def test_id_outside_the_table(identity: int):
    with pytest.raises(UserError, match=f"identity {identity} of a feature lies outside the table of 3 rows"):
        mean_rows(torch.eye(4), torch.tensor([0, 1, 2, identity]), 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_broken_features(value: float):
    features = torch.eye(4)
    features[1, 2] = features[3, 0] = value
    with pytest.raises(UserError, match=r"features of identity 1 hold NaN or infinity \(2 such identities\)"):
        mean_rows(features, torch.tensor([0, 1, 0, 2]), 3)


@pytest.mark.parametrize("features", [[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_features_that_cancel_out(features: list[list[float]]):
    with pytest.raises(UserError, match="features of identity 0 cancel out"):
        mean_rows(torch.tensor(features), torch.tensor([0, 0]), 1)


def test_half_precision_features_give_single_precision_rows():
    rows = mean_rows(torch.eye(2, dtype=torch.float16), torch.tensor([1, 0]), 2)
    assert rows.dtype == torch.float32 and torch.equal(rows, torch.eye(2)[[1, 0]])


def test_random_rows_are_unit_and_seeded():
    rows = random_rows(50, 16, 3)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(50))
    assert torch.equal(rows, random_rows(50, 16, 3))
    assert not torch.equal(rows, random_rows(50, 16, 4))


def test_round_trip(tmp_path: Path):
    path, rows = tmp_path / "t.safetensors", random_rows(4, 6, 0)
    save_table(path, rows, {"construction": "random"})
    assert torch.equal(load_table(path, 4, 6), rows)
    first = path.read_bytes()
    save_table(path, rows, {"construction": "random"})
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("identities", "dimension", "message"),
    [
        (4, 8, "has rows of length 6, the student's id feature has 8"),
        (5, 6, "has 4 rows, the training set has 5 identities"),
    ],
)
def test_table_of_another_size(tmp_path: Path, identities: int, dimension: int, message: str):
    save_table(tmp_path / "t.safetensors", random_rows(4, 6, 0), {})
    with pytest.raises(UserError, match=message):
        load_table(tmp_path / "t.safetensors", identities, dimension)


@pytest.mark.parametrize("rows", [torch.ones(4, 6), torch.full((4, 6), float("nan")), torch.zeros(4, 6)])
def test_rows_that_are_not_of_length_one(tmp_path: Path, rows: torch.Tensor):
    save_table(tmp_path / "t.safetensors", rows, {})
    with pytest.raises(UserError, match="rows that are not of length 1"):
        load_table(tmp_path / "t.safetensors", 4, 6)


def test_not_a_table(tmp_path: Path):
    path = tmp_path / "t.safetensors"
    with pytest.raises(UserError, match="does not exist"):
        load_table(path, 4, 6)
    save_table(path, random_rows(4, 6, 0), {})
    save_file({"other": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="is not a look-up table"):
        load_table(path, 4, 6)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="truncated or not a safetensors file"):
        load_table(path, 4, 6)
    save_table(path, random_rows(4, 6, 0), {"kind": "oim"})
    with pytest.raises(UserError, match="kind 'oim', not 'lookup'"):
        load_table(path, 4, 6)
