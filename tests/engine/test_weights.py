"""Files of weights: nothing is taken from them but tensors, and nothing that they hold is run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import models

from distillery.config import registry
from distillery.config.weights import FILES, NETWORKS, WEIGHTS
from distillery.engine.checkpoint import save_tensors
from distillery.engine.weights import load_weights
from distillery.errors import UserError

TENSORS = {"conv1.weight": torch.arange(12.0).reshape(3, 4), "bn1.num_batches_tracked": torch.tensor(3)}


def equal(found: dict[str, Tensor]) -> bool:
    return list(found) == list(TENSORS) and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_both_formats_hold_the_same(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", TENSORS)
    torch.save(TENSORS, tmp_path / "a.pth")
    torch.save({"state_dict": TENSORS, "epoch": 3}, tmp_path / "b.pt")
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    found = load_weights(tmp_path / "a.safetensors")
    assert {name: value.tolist() for name, value in found.items()} == {n: v.tolist() for n, v in TENSORS.items()}
    for name in ("a.pth", "b.pt", "old.pth"):
        assert equal(load_weights(tmp_path / name)), name


class Hostile:
    """Unpickling it writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    """The same file, opened by pickle, does what it was made for."""
    trace = tmp_path / "trace"
    torch.save({"conv1.weight": torch.ones(2), "x": Hostile(trace)}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"evil\.pth: is truncated or holds other things than tensors"):
        load_weights(tmp_path / "evil.pth")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Hostile(trace)))
    assert trace.exists()


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 cut off"])
def test_what_is_no_file_of_weights(tmp_path: Path, content: bytes) -> None:
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: is truncated"):
            load_weights(tmp_path / name)


@pytest.mark.parametrize("value", [[torch.ones(2)], {"a": 3}, torch.ones(3), {"state_dict": {"a": "b"}}])
def test_what_holds_no_named_tensors(tmp_path: Path, value: Any) -> None:
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(UserError, match="holds other things than named tensors"):
        load_weights(tmp_path / "a.pth")


def test_what_is_not_there_is_to_be_fetched_or_put_there() -> None:
    with pytest.raises(UserError, match="run `distillery fetch weights`"):
        load_weights(next(iter(FILES)))
    with pytest.raises(UserError, match="put it there"):
        load_weights("nowhere/own.pth")


def test_the_register_gets_torchvisions_published_files() -> None:
    """Addresses and names against torchvision's own weights API."""
    row = registry.load_registry(Path(__file__).resolve().parents[2] / "config" / "datasets.yaml").sets["weights"]
    published = {models.get_model_weights(name).IMAGENET1K_V1.url for name in NETWORKS}  # type: ignore[attr-defined]
    assert {archive.urls[0] for archive in row.archives} == published
    assert {f"{WEIGHTS}/{mark}" for mark in row.marks} == FILES
