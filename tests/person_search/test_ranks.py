"""Two ranks learn what one process learns from the whole batch, and their tables and queues hold the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from distillery.person_search import shares
from distillery.person_search.network import LOSSES
from distillery.person_search.qeeps import LOSSES as QEEPS_LOSSES
from distillery.person_search.regions import BalancedPositiveNegativeSampler
from person_search.search_jobs import dataset
from ranks import together


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    together("person_search.rank_work", "searchers", dataset(folder), folder)
    return folder


def found(folder: Path, case: str) -> dict:
    return json.loads((folder / f"{case}.json").read_text())


@pytest.mark.parametrize("case", ["oim", "taught", "qeeps", "reid"])
def test_losses_gradients_and_parameters_are_those_of_one_process(folder: Path, case: str) -> None:
    answer = found(folder, case)
    assert answer["ranks"] == []  # both ranks have the same bits
    # Some losses of torchvision are computed in single precision whatever they are given.
    assert max(answer[what] for what in ("term", "gradient", "state")) < 1e-6, answer


def test_tables_and_queues_were_written(folder: Path) -> None:
    written = found(folder, "oim")["written"]
    for student in (0, 1):
        assert written[f"{student}.network.identification.table"] == 2
        assert written[f"{student}.network.identification.queue"] == 5


def test_every_loss_says_what_it_is_averaged_over(folder: Path) -> None:
    logged = {
        name.split("/")[1]
        for case in ("oim", "taught", "qeeps")
        for name in found(folder, case)["terms"]
        if "/" in name
    }
    assert logged == set(shares.AVERAGED) >= {*LOSSES, *QEEPS_LOSSES}


def test_alone_the_sampler_is_torchvisions() -> None:
    labels = [torch.tensor([1.0, 0, 0, -1, 1, 0, 1]), torch.tensor([0.0, 0, 1])]
    sampler = BalancedPositiveNegativeSampler(4, 0.5)
    torch.manual_seed(5)
    wanted = sampler(labels)
    torch.manual_seed(5)
    for ours, theirs in zip(shares.drawn(sampler, labels), wanted, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
