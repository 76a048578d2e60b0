from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from distillery.engine import checkpoint
from distillery.errors import UserError
from distillery.files import sha256_of_file


def network(width: int = 3, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net" / "seed0.safetensors"
    checkpoint.save(path, network(), {"kind": "test", "width": 3})
    return path


def test_round_trip_of_parameters_and_buffers(saved: Path) -> None:
    source, target = network(), network(seed=1)
    source[1].running_mean.fill_(5)
    source[1].num_batches_tracked.fill_(7)
    checkpoint.save(saved, source, {"kind": "test"})
    checkpoint.load_into(target, saved)
    assert source.state_dict().keys() == target.state_dict().keys()
    for name, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[name]), name
        assert value.dtype == target.state_dict()[name].dtype


def test_the_sidecar(saved: Path) -> None:
    sidecar = checkpoint.load_sidecar(saved, kind="test")
    count = 3 * 9 + 3 + 3 + 3  # weight and bias of the convolution, scale and shift of the normalisation
    assert sidecar == {
        "kind": "test",
        "width": 3,
        "parameter_count": count,
        "bytes": 4 * count,
        "sha256": sha256_of_file(saved),
    }
    assert checkpoint.load_sidecar(saved, kind=("other", "test")) == sidecar
    assert sorted(path.name for path in saved.parent.iterdir()) == ["seed0.json", "seed0.safetensors"]


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    first = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(2, dtype=torch.int64)}
    second = {"a": torch.ones(2, dtype=torch.int64), "b": torch.arange(6.0).reshape(2, 3).T.contiguous().T}
    assert not second["b"].is_contiguous()
    for name, tensors in (("x", first), ("y", second)):
        checkpoint.save_tensors(tmp_path / name, tensors, {"key": "1"})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    one = torch.ones(4)
    checkpoint.save_tensors(tmp_path / "x", {"a": one, "b": one[:2]})
    assert {name: t.tolist() for name, t in checkpoint.load_tensors(tmp_path / "x").items()} == {
        "a": [1] * 4,
        "b": [1] * 2,
    }


class TestAnotherArchitecture:
    def test_another_width(self, saved: Path) -> None:
        with pytest.raises(UserError) as caught:
            checkpoint.load_into(network(width=4), saved)
        message = str(caught.value)
        assert str(saved) in message
        assert (
            "another architecture: tensor '0.weight' has shape (3, 1, 3, 3), the network needs (4, 1, 3, 3)" in message
        )

    def test_missing_and_unknown_tensors(self, saved: Path) -> None:
        deeper = network()
        deeper.append(nn.Linear(1, 1))
        with pytest.raises(UserError, match=r"has no tensor '2\.weight'"):
            checkpoint.load_into(deeper, saved)
        with pytest.raises(UserError, match=r"unknown tensor '1\."):
            checkpoint.load_into(nn.Sequential(nn.Conv2d(1, 3, 3)), saved)

    def test_a_failed_load_changes_nothing(self, saved: Path) -> None:
        module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(4))
        before = {name: value.clone() for name, value in module.state_dict().items()}
        with pytest.raises(UserError):
            checkpoint.load_into(module, saved)
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


class TestBrokenFiles:
    def test_a_pickle_is_never_opened(self, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return Path.touch, (tmp_path / "exploded",)  # type: ignore[return-value]

        for name, write in (
            ("a", lambda p: p.write_bytes(pickle.dumps(Bomb()))),
            ("b", lambda p: torch.save(Bomb(), p)),
        ):
            path = tmp_path / f"{name}.safetensors"
            write(path)
            with pytest.raises(UserError, match="not a safetensors file"):
                checkpoint.load_into(network(), path)
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize("keep", [0, 5, 60, -1])
    def test_truncated(self, saved: Path, keep: int) -> None:
        saved.write_bytes(saved.read_bytes()[:keep])
        with pytest.raises(UserError, match=r"seed0\.safetensors: is truncated or not a safetensors file"):
            checkpoint.load_into(network(), saved)

    def test_a_header_that_claims_more_than_memory_holds(self, saved: Path) -> None:
        header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
        saved.write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(UserError, match="truncated or not a safetensors"):
            checkpoint.load_tensors(saved)

    def test_missing(self, tmp_path: Path) -> None:
        for call in (checkpoint.load_tensors, lambda path: checkpoint.load_sidecar(path, kind="test")):
            with pytest.raises(UserError, match=r"none\.safetensors: does not exist; train it first"):
                call(tmp_path / "none.safetensors")

    def test_a_checkpoint_without_its_sidecar(self, saved: Path) -> None:
        checkpoint.sidecar_path(saved).unlink()
        with pytest.raises(UserError, match=r"seed0\.json: does not exist"):
            checkpoint.load_sidecar(saved, kind="test")

    @pytest.mark.parametrize("text", ['{"kind": "other"}', "[1, 2]", "{}"])
    def test_a_sidecar_of_something_else(self, saved: Path, text: str) -> None:
        checkpoint.sidecar_path(saved).write_text(text)
        with pytest.raises(UserError, match=r"seed0\.json, kind: describes a checkpoint of kind .*, not 'test' or 'x'"):
            checkpoint.load_sidecar(saved, kind=("test", "x"))


@pytest.mark.parametrize(
    ("number", "sentence"), [(28, "no space left on the disk"), (122, "no space left"), (13, "permission denied")]
)
def test_a_disk_that_fails(saved: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str) -> None:
    """safetensors 0.8 says "I/O error: No space left on device (os error 28)" and gives no number."""

    def fail(*_: object, **__: object) -> None:
        raise SafetensorError(f"Error while serializing: I/O error: some text (os error {number})")

    before = saved.read_bytes()
    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(UserError, match=rf"seed0\.safetensors: .*{sentence}"):
        checkpoint.save(saved, network(seed=3), {"kind": "test"})
    assert saved.read_bytes() == before
    assert sorted(path.name for path in saved.parent.iterdir()) == ["seed0.json", "seed0.safetensors"]
