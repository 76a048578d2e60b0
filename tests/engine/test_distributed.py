"""Two ranks that talk, normalise, sum gradients and train, beside one process that does all of it alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distillery.engine import distributed
from distillery.engine.checkpoint import load_tensors
from distillery.errors import UserError
from engine import rank_work
from ranks import together


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks left."""
    folder = tmp_path_factory.mktemp("ranks")
    with pytest.raises(KeyboardInterrupt):  # one process begins a training that two will end
        rank_work.train(rank_work.Regression(5), folder / "one-0")
    together("engine.rank_work", "messages", folder)
    return folder


def of_ranks(folder: Path, name: str) -> list[dict[str, Tensor]]:
    return [load_tensors(folder / f"{name}{rank}.safetensors") for rank in range(2)]


class TestAlone:
    """Without other ranks everything is what it is given."""

    def test_every_message(self) -> None:
        rows = torch.arange(3.0)
        assert (distributed.rank(), distributed.world(), distributed.first()) == (0, 1, True)
        assert distributed.totals([3, 4]) == distributed.largest([3, 4]) == [3, 4]
        assert distributed.gathered(rows) is rows and distributed.mean(rows).item() == 1
        assert distributed.told(b"x") == b"x" and distributed.anyone(True) and not distributed.anyone(False)
        assert distributed.share(5) == slice(0, 5)
        distributed.agree("a", "-", "-")

    @given(ranks=st.integers(1, 9), count=st.integers(1, 99))
    def test_shares_are_the_batch_in_order(self, ranks: int, count: int) -> None:
        rows: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            for rank in range(ranks):
                patch.setattr(distributed, "_joined", distributed._Ranks(rank, ranks, None, None))  # type: ignore[arg-type]
                if count < ranks:
                    with pytest.raises(UserError, match=f"a batch of {count} cannot be shared among {ranks} processes"):
                        distributed.share(count)
                    return
                own = list(range(count))[distributed.share(count)]
                assert count // ranks <= len(own) <= -(-count // ranks)
                rows += own
        assert rows == list(range(count))


def test_messages(folder: Path) -> None:
    first, second = (json.loads((folder / f"messages{rank}.json").read_text()) for rank in range(2))
    assert (first.pop("who"), second.pop("who")) == ([0, 2, True], [1, 2, False])
    assert (first.pop("share"), second.pop("share")) == ([0, 2], [2, 5])
    assert first == second
    assert first["totals"] == [3, 20] and first["largest"] == [1, 0] and first["anyone"] == [True, False]
    assert first["gathered"] == [[0, 0], [0, 0], [1, 1]] and first["from one"] == [1.0]
    assert first["mean"] == pytest.approx(3.0)  # of 1, and of 2 and 6
    assert first["told"] == "from the first" and first["told nothing"] == ""
    refused = ["rank 1 has another number than rank 0; agree.", "optimisation.batch: a batch of 1 cannot be shared"]
    assert all(found.startswith(start) for found, start in zip(first["refusals"], refused, strict=True))


@pytest.mark.parametrize("split", rank_work.SPLITS)
@pytest.mark.parametrize(("dimensions", "shape"), [(1, (4,)), (2, (4, 3, 2))])
def test_norms_are_torchs_of_the_whole_batch(folder: Path, split: str, dimensions: int, shape: tuple[int, ...]) -> None:
    layer = rank_work.norm(dimensions, None if split == "uneven" else 0.3)
    for turn in range(2):
        x = rank_work.examples(*shape, seed=turn).requires_grad_()
        y = layer(x)
        (y * rank_work.examples(*shape, seed=7)).sum().backward()
    first, second = (
        {name.split("/")[2]: value for name, value in found.items() if name.startswith(f"{dimensions}/{split}/")}
        for found in of_ranks(folder, "norms")
    )
    torch.testing.assert_close(torch.cat([first["y"], second["y"]]), y.detach())
    torch.testing.assert_close(torch.cat([first["x"], second["x"]]), x.grad)
    for name, parameter in layer.named_parameters():  # each rank has its part of the sum
        torch.testing.assert_close(first[f"of_{name}"] + second[f"of_{name}"], parameter.grad)
    for name, value in layer.state_dict().items():
        torch.testing.assert_close(first[name], value)
        assert torch.equal(first[name], second[name])
    layer.eval()
    torch.testing.assert_close(first["test"], layer(rank_work.examples(*shape)).detach())


def test_gradients_are_summed_and_absent_ones_stay_absent(folder: Path) -> None:
    for found in of_ranks(folder, "sums"):
        assert found["all"].tolist() == [3.0, 3.0]  # 1 + 2
        assert found["second"].tolist() == [5.0, 5.0]
        assert found["loss"].item() == 3 + 6 + 15
        assert (found["a"].item(), found["b"].item()) == (1.0, 4.0)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Parameters and metrics of one process."""
    task, state = rank_work.Regression(), tmp_path_factory.mktemp("alone")
    rank_work.train(task, state)
    return {name: value.clone() for name, value in task.module.state_dict().items()}, state / "metrics.jsonl"


class TestTraining:
    """Five examples a step: the first rank has two, the second three."""

    def test_two_ranks_learn_what_one_learns(self, folder: Path, alone: Any) -> None:
        first, second = of_ranks(folder, "whole")
        for name, value in alone[0].items():
            torch.testing.assert_close(first[name], value, rtol=1e-9, atol=1e-12)
            assert torch.equal(first[name], second[name])
        ours, theirs = (
            [json.loads(line) for line in file.read_text().splitlines()]
            for file in (folder / "whole-0" / "metrics.jsonl", alone[1])
        )
        assert [line["step"] for line in ours] == list(range(rank_work.STEPS))
        for line, other in zip(ours, theirs, strict=True):
            assert line == pytest.approx(other, rel=1e-9)

    @pytest.mark.parametrize("how", ["killed", "asked"])
    def test_a_training_that_was_interrupted_ends_with_the_same_bits(self, folder: Path, how: str) -> None:
        for whole, resumed in zip(of_ranks(folder, "whole"), of_ranks(folder, how), strict=True):
            assert all(torch.equal(whole[name], value) for name, value in resumed.items())

    def test_two_ranks_go_on_where_one_stopped(self, folder: Path, alone: Any) -> None:
        for found in of_ranks(folder, "from one"):
            for name, value in alone[0].items():
                torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-12)

    def test_one_process_goes_on_where_two_stopped(self, folder: Path, alone: Any, tmp_path: Path) -> None:
        shutil.copytree(folder / "left-0", tmp_path / "s")
        task = rank_work.Regression()
        rank_work.train(task, tmp_path / "s")
        for name, value in alone[0].items():
            torch.testing.assert_close(task.module.state_dict()[name], value, rtol=1e-9, atol=1e-12)
        lines = (tmp_path / "s" / "metrics.jsonl").read_text().splitlines()
        kept = (folder / "left-0" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(8)) and lines[:5] == kept[:5]

    def test_only_the_first_rank_writes(self, folder: Path) -> None:
        for name in ("whole", "killed", "asked", "left", "one"):
            assert sorted(file.name for file in (folder / f"{name}-0").iterdir()) == [
                "metrics.jsonl",
                "state.safetensors",
            ]
            assert not (folder / f"{name}-1").exists()

    def test_all_leave_when_one_is_asked_to(self, folder: Path) -> None:
        first, second = (json.loads((folder / f"asked-said{rank}.json").read_text()) for rank in range(2))
        assert first["code"] == second["code"] == 75
        assert "was stopped by a signal to another rank after step 5 of 8" in first["said"]
        assert "was stopped by SIGTERM after step 5 of 8; its state is saved" in second["said"]
