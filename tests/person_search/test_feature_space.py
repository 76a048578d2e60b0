"""Features of training people beside the rows of their tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from distillery.config.search_distillation import LookUp
from distillery.config.search_jobs import LookUpJob
from distillery.engine.devices import prepare
from distillery.errors import UserError
from distillery.paper.features import read_features
from distillery.person_search.benchmarks.base import SearchImage, SearchSplit
from distillery.person_search.checkpoints import load_network
from distillery.person_search.feature_space import PEOPLE, most_frequent, own_and_other, write_feature_space
from distillery.person_search.lookup import load_table
from distillery.person_search.splits import training_split
from distillery.person_search.tables import build_table
from distillery.person_search.teachers import teacher_features
from distillery.person_search.training import train_search
from person_search.search_jobs import COMPUTE, DIMENSION, NAME, dataset, search_training, student

TAUGHT = "large-oim_table"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network with a table of its own, and one with a given table."""
    folder = tmp_path_factory.mktemp("trained")
    table = folder / "table.safetensors"
    rows = LookUpJob(seed=0, compute=COMPUTE, table=LookUp(teacher=None, construction="random"), dimension=DIMENSION)
    build_table(rows, manifest, None, table)
    outputs = {NAME: folder / f"{NAME}.safetensors", TAUGHT: folder / f"{TAUGHT}.safetensors"}
    train_search(
        search_training(students={NAME: student(), TAUGHT: student()}), manifest, outputs, tables={TAUGHT: table}
    )
    return {f"oim/{name}": path for name, path in outputs.items()} | {"table": table}


def test_rows_and_features_are_the_networks_own(trained, manifest, tmp_path):
    networks = {name: path for name, path in trained.items() if name != "table"}
    out = tmp_path / "space.npz"
    write_feature_space(networks, manifest, out, COMPUTE)
    space = read_features(out)
    assert space.networks == tuple(networks)
    assert space.given == (False, True)
    assert space.identities.tolist() == [0, 1]
    assert space.rows[1] == pytest.approx(load_table(trained["table"], 2, DIMENSION).numpy())
    own = load_network(networks[f"oim/{NAME}"]).identification.table
    assert space.rows[0] == pytest.approx(own.numpy())
    for place, path in enumerate(networks.values()):
        features, ids = teacher_features(path, training_split(manifest), prepare(COMPUTE))
        assert space.features[place] == pytest.approx(features.numpy())
        assert space.ids.tolist() == ids.tolist()
        cosines = features.numpy() @ space.rows[place].T
        assert space.own[place] == pytest.approx([row[i] for row, i in zip(cosines, ids.tolist(), strict=True)])
        assert space.other[place] == pytest.approx([row[1 - i] for row, i in zip(cosines, ids.tolist(), strict=True)])
    before = out.read_bytes()
    write_feature_space(networks, manifest, out, COMPUTE)
    assert out.read_bytes() == before


def test_networks_without_rows_or_of_other_people_are_refused(trained, manifest, tmp_path):
    detector = tmp_path / "d.safetensors"
    alone = search_training(method="detector", students={"d": student(identification=None)})
    train_search(alone, manifest, {"d": detector})
    with pytest.raises(UserError, match="detector"):
        write_feature_space({"detector/d": detector}, manifest, tmp_path / "x.npz", COMPUTE)
    narrow = student(identification=student().identification.model_copy(update={"dimension": 4}))
    other = tmp_path / "n.safetensors"
    train_search(search_training(students={"n": narrow}), manifest, {"n": other})
    with pytest.raises(UserError, match="different lengths"):
        write_feature_space({"oim/a": trained[f"oim/{NAME}"], "oim/n": other}, manifest, tmp_path / "x.npz", COMPUTE)
    assert not (tmp_path / "x.npz").exists()


def _split(*counts: int) -> SearchSplit:
    """Identity k in `counts[k]` images, and somebody unlabelled in each."""
    images = [
        SearchImage(f"{k}-{n}.jpg", Path(), np.zeros((2, 4), np.float32), np.array([k, -1]))
        for k, count in enumerate(counts)
        for n in range(count)
    ]
    return SearchSplit(images, len(counts))


def test_the_most_frequent_people_are_chosen_the_lower_number_first():
    counts = [1, 3, 2, 3, 1, 1, 1, 1, 1, 1, 5]
    chosen = most_frequent(_split(*counts), np.ones(11, bool))
    assert len(chosen) == PEOPLE == 8
    assert chosen.tolist() == [0, 1, 2, 3, 4, 5, 6, 10]
    without = most_frequent(_split(*counts), np.arange(11) != 10)
    assert 10 not in without
    assert most_frequent(_split(2, 1), np.zeros(2, bool)).tolist() == []


def test_cosines_with_the_own_row_and_the_nearest_other():
    rows = F.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
    features = F.normalize(torch.tensor([[1.0, 0], [1, 2]]))
    own, other = own_and_other(rows, features, torch.tensor([0, 2]))
    # (1, 0) is at 45 degrees to the third row; (1, 2)/sqrt 5 has cosine 3/sqrt 10 with it and 2/sqrt 5 with the second.
    assert own.tolist() == pytest.approx([1.0, 3 / 10**0.5])
    assert other.tolist() == pytest.approx([0.5**0.5, 2 / 5**0.5])
