"""One command for several seeds: for each the bytes of a process of its own, and a killed one goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distillery import cli
from distillery.config.base import Section
from distillery.config.search_distillation import DetectorDistillation, LookUp, QueryGuidance
from distillery.config.search_jobs import LookUpJob
from distillery.person_search.training import SearchTask
from person_search.search_jobs import COMPUTE, OPTIMISATION, dataset, reid_training, search_training, student
from project import environment

BRIEFLY = OPTIMISATION.model_copy(update={"steps": 3})
STUDENTS = {"plain": student(), "both": student(detector=DetectorDistillation())}
ALONE = """
import json, sys
from distillery import cli
sys.exit(max(cli.main(words) for words in json.load(sys.stdin)))
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


def chain(manifest: Path, folder: Path) -> list[tuple[Section, list[str]]]:
    """Parameters and command of each stage from the re-ID teacher to QEEPS; `{seed}` stands in the files."""

    def file(name: str) -> str:
        return str(folder / name / "seed{seed}.safetensors")

    def outputs(kind: str) -> list[str]:
        return ["--out", *(f"{name}={file(f'{kind}-{name}')}" for name in STUDENTS)]

    reid, detector = reid_training(), search_training(method="detector", students={"d": student(identification=None)})
    oim = search_training(students=STUDENTS, optimisation=BRIEFLY)
    qeeps = oim.model_copy(update={"method": "qeeps", "query": QueryGuidance(reduction=2)})
    taught = ["--table", f"both={file('table')}", "--detector", file("detector")]
    starts = ["--start", *(f"{name}={file(f'oim-{name}')}" for name in STUDENTS)]
    table = LookUpJob(seed=0, compute=COMPUTE, table=LookUp())
    stages: list[tuple[Section, str, list[str]]] = [
        (reid, "train-reid", ["--out", file("reid")]),
        (table, "lookup", ["--teacher", file("reid"), "--out", file("table")]),
        (detector, "train-search", ["--out", f"d={file('detector')}"]),
        (oim, "train-search", [*taught, *outputs("oim")]),
        (qeeps, "train-search", [*taught, *starts, *outputs("qeeps")]),
    ]
    return [(parameters, [command, "--data", str(manifest), *words]) for parameters, command, words in stages]


def contents(folder: Path, seed: int) -> dict[str, bytes]:
    """Files of a seed by name."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob(f"seed{seed}.*"))}


def test_each_seed_is_trained_as_in_a_process_of_its_own(manifest, tmp_path):
    together, alone = tmp_path / "together", tmp_path / "alone"
    for parameters, words in chain(manifest, together):
        assert cli.main([*words, "--params", parameters.model_dump_json(), "--seeds", "0", "1", "2"]) == 0
    commands = []
    for parameters, words in chain(manifest, alone):
        of_seed = parameters.model_copy(update={"seed": 2}).model_dump_json()
        commands.append([*(word.replace("{seed}", "2") for word in words), "--params", of_seed])
    subprocess.run(
        [sys.executable, "-c", ALONE],
        input=json.dumps(commands),
        text=True,
        check=True,
        env=environment() | {"PYTHONPATH": str(Path(cli.__file__).parents[1])},
    )
    found, expected = contents(together, 2), contents(alone, 2)
    # Weights, sidecar and metrics of six networks; a table has no metrics.
    assert len(expected) == 3 * 6 + 2
    assert found == expected
    assert {len(contents(together, seed)) for seed in (0, 1, 2)} == {len(expected)}
    weights = [name for name in expected if name.endswith(".safetensors")]
    for name in weights:
        assert len({(together / name.replace("seed2", f"seed{seed}")).read_bytes() for seed in (0, 1, 2)}) == 3


def test_seeds_that_would_meet_in_a_file_train_nothing(manifest, tmp_path, capsys):
    for parameters, words in chain(manifest, tmp_path / "never"):
        there = [word.replace("seed{seed}", "seed0") for word in words]
        assert cli.main([*there, "--params", parameters.model_dump_json(), "--seeds", "0", "1"]) == 1
        assert "--out: all seeds would write " in capsys.readouterr().err
        assert cli.main([*words, "--params", parameters.model_dump_json(), "--seeds", "1", "1"]) == 1
        assert "--seeds: 1 is given twice" in capsys.readouterr().err
    assert not (tmp_path / "never").exists()


class _KilledError(Exception):
    pass


def test_the_killed_seed_goes_on_from_its_state(manifest, tmp_path, monkeypatch):
    steps: list[tuple[int, int]] = []
    original = SearchTask.loss

    def run(folder: Path, killed: tuple[int, int] | None = None) -> None:
        def loss(self, step):
            steps.append((self._parameters.seed, step))
            if steps[-1] == killed:
                raise _KilledError
            return original(self, step)

        monkeypatch.setattr(SearchTask, "loss", loss)
        steps.clear()
        parameters = search_training(students={"plain": student()}, optimisation=BRIEFLY).model_dump_json()
        words = ["train-search", "--data", str(manifest), "--out", f"plain={folder}/seed{{seed}}.safetensors"]
        assert cli.main([*words, "--params", parameters, "--seeds", "0", "1"]) == 0

    run(tmp_path / "whole")
    with pytest.raises(_KilledError):
        run(tmp_path / "killed", killed=(1, 2))
    assert contents(tmp_path / "killed", 0) == contents(tmp_path / "whole", 0)
    assert not (tmp_path / "killed" / "seed1.safetensors").exists()
    run(tmp_path / "killed")
    assert [step for seed, step in steps if seed == 1] == [2]
    assert contents(tmp_path / "killed", 1) == contents(tmp_path / "whole", 1)
    assert not list((tmp_path / "killed").glob("*.resume"))
