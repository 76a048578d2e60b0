"""`distillery search` with several networks in one call."""

from __future__ import annotations

from pathlib import Path

import pytest

from distillery import cli
from distillery.person_search.predictions import read_predictions
from distillery.person_search.training import train_search
from person_search.search_jobs import OPTIMISATION, dataset, search_training, student

PARAMS = ["--params", '{"compute": {"device": "cpu"}}']


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def checkpoints(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two variants of two seeds."""
    folder, found = tmp_path_factory.mktemp("trained"), []
    for seed in (0, 1):
        files = {name: folder / name / f"seed{seed}.safetensors" for name in ("a", "b")}
        students = {"a": student(), "b": student(identities=1)}
        briefly = OPTIMISATION.model_copy(update={"steps": 2})
        train_search(search_training(seed=seed, students=students, optimisation=briefly), manifest, files)
        found += files.values()
    return found


def command(manifest: Path, results: Path, *checkpoints: Path) -> list[str]:
    which = ["--checkpoint", *map(str, checkpoints)]
    return ["search", "--root", str(manifest.with_suffix("")), *which, *PARAMS, "--results", f"cuhk_sysu={results}"]


def test_each_checkpoint_gets_a_file_of_its_own(manifest, checkpoints, tmp_path):
    assert cli.main(command(manifest, tmp_path / "{variant}" / "{checkpoint}.npz", *checkpoints)) == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert written == [f"{name}/seed{seed}.{end}" for name in "ab" for seed in (0, 1) for end in ("json", "npz")]
    assert len({(tmp_path / file).read_bytes() for file in written if file.endswith("npz")}) == 4
    for checkpoint in checkpoints:
        alone = tmp_path / "alone.npz"
        assert cli.main(command(manifest, alone, checkpoint)) == 0
        together = tmp_path / checkpoint.parent.name / f"{checkpoint.stem}.npz"
        assert together.read_bytes() == alone.read_bytes()
        assert len(read_predictions(together).query_feature) == 2


def test_nothing_is_written_where_two_would_meet(manifest, checkpoints, tmp_path, capsys):
    assert cli.main(command(manifest, tmp_path / "all.npz", checkpoints[0], checkpoints[2])) == 1
    assert "several checkpoints would write to one place" in capsys.readouterr().err
    assert cli.main(command(manifest, tmp_path / "{checkpoint}.npz", *checkpoints)) == 1
    assert "two checkpoints are called seed0" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
