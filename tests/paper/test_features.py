"""Damaged files of features are one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from distillery.errors import UserError
from distillery.paper.features import read_features


def test_what_was_written_is_read(made):
    space = read_features(made.features)
    assert space.networks == ("oim/large-oim", "oim/large-oim_table")
    assert space.given == (False, True)
    assert np.linalg.norm(space.features, axis=2) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a zip"])
def test_damaged_files(tmp_path, content):
    path = tmp_path / "features.npz"
    with pytest.raises(UserError, match="does not exist"):
        read_features(path)
    path.write_bytes(content)
    with pytest.raises(UserError, match="truncated"):
        read_features(path)


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("rows", lambda array: array[:, :-1], "do not fit"),
        ("ids", lambda array: array + 1, "do not fit"),
        ("features", lambda array: array * np.nan, "do not fit"),
        ("own", lambda array: array[:, :0], "do not fit"),
        ("given", lambda array: array[:1], "do not fit"),
        ("seed", lambda array: np.array([object()]), "truncated"),
        ("other", None, "lacks an array"),
    ],
)
def test_arrays_that_do_not_fit_each_other(made, tmp_path, name, change, problem):
    with np.load(made.features) as file:
        arrays = dict(file)
    array = arrays.pop(name)
    if change is not None:
        arrays[name] = change(array)
    path = tmp_path / "features.npz"
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=problem):
        read_features(path)
