"""The search for students as a job: its result, that a kill or more workers do not change it, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distillery import datasets
from distillery.config.base import parse
from distillery.config.selection import SelectionJob
from distillery.distill.policy import PolicySearch
from distillery.engine import checkpoint
from distillery.errors import UserError
from distillery.paper.searches import read_searches
from distillery.tracking import siamfc, siamrpn
from distillery.tracking.families import searched_architecture
from distillery.tracking.proxy import CALIBRATION, Proxy, _part, plain, training_parameters
from distillery.tracking.selecting import select_students

SPEC = {"source": "embedded", "seed": 3, "train_sequences": 3, "train_frames": 4, "val_sequences": 2, "val_frames": 3}
GEOMETRY: dict[str, dict[str, Any]] = {
    "siamfc": {"exemplar": 63, "search": 127, "train_search": 95, "response_scale": 0.02},
    "siamrpn": {
        "exemplar": 63,
        "search": 127,
        "small_search": 135,
        "train_search": 127,
        "stride": 4,
        "anchor_scale": 4,
        "response_scale": 0.01,
    },
}
OPTIMISATION = {"steps": 3, "batch": 4, "optimiser": "adamw", "learning_rate": 2e-3}
MODULES: dict[str, Any] = {"siamfc": siamfc, "siamrpn": siamrpn}


def job(family: str = "siamfc", *, seed: int = 0, optimisation: Any = OPTIMISATION, **selection: Any) -> SelectionJob:
    plain_job = {
        "seed": seed,
        "compute": {"device": "cpu", "threads": 1},
        "family": family,
        "pairs": {"epoch": 8, "exemplar_shift": 2, "shift": 2},
        "geometry": GEOMETRY[family],
        "teacher": {"layout": "compact", "width": 0.1 if family == "siamfc" else 0.03},
        "selection": {
            "budget": 8.0,
            "updates": 3,
            "children": 2,
            "pairs": 10,
            "validation_pairs": 6,
            "proposals": 3,
            "hidden": 8,
            "optimisation": optimisation,
        }
        | selection,
    }
    return parse(SelectionJob, plain_job, source="test")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("default")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "got10k.json"
    datasets.make("got10k", json.dumps(SPEC), path)
    return path


@pytest.fixture(scope="module")
def teachers(manifest: Path) -> dict[str, Path]:
    paths = {}
    for family, module in MODULES.items():
        parameters = training_parameters(job(family))
        torch.manual_seed(0)
        network = module.build(parameters.architectures["teacher"], parameters.geometry)
        if family == "siamrpn":  # its boxes are the anchors, some of which meet the target
            torch.nn.init.zeros_(network.regress_adjust.weight)
        paths[family] = manifest.parent / f"{family}.safetensors"
        checkpoint.save(paths[family], network, network.sidecar())
    return paths


@pytest.fixture(scope="module")
def proxy(manifest: Path, teachers: dict[str, Path]) -> Proxy:
    return Proxy(job(), manifest, teachers["siamfc"])


class TestProxy:
    def test_a_child_is_the_same_whoever_was_trained_before(self, proxy: Proxy) -> None:
        first = proxy.child_accuracy((0.2,) * 5)
        other = proxy.child_accuracy((0.3,) * 5)
        assert proxy.child_accuracy((0.2,) * 5) == first != other
        assert 0 <= first <= 1

    def test_teacher_is_measured_as_it_is(self, proxy: Proxy) -> None:
        before = {name: value.clone() for name, value in proxy.teacher.state_dict().items()}
        assert proxy.teacher_accuracy() == proxy.teacher_accuracy() > 0
        assert all(torch.equal(value, before[name]) for name, value in proxy.teacher.state_dict().items())

    def test_every_pair_once_in_an_epoch(self, proxy: Proxy) -> None:
        rows = torch.cat([proxy._rows(step) for step in range(5)]).tolist()  # 5 batches of 4, two epochs of 10
        assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
        assert rows[:10] != rows[10:]

    def test_statistics_are_those_of_the_last_weights(self, proxy: Proxy) -> None:
        child: Any = siamfc.build(proxy.teacher.architecture, proxy.geometry).train()
        proxy._calibrate(child)
        first = child.backbone.layers[0]
        means = []
        for step in range(CALIBRATION):
            rows = proxy._rows(step)
            seen = (proxy._pairs.exemplar[rows], proxy._pairs.search[rows])
            means += [first[0](crops.float()).mean((0, 2, 3)) for crops in seen]
        assert torch.allclose(first[1].running_mean, torch.stack(means).mean(0), atol=1e-3)
        assert first[1].momentum == 0.05

    def test_validation_pairs_are_of_the_other_split_and_plain(self, proxy: Proxy) -> None:
        assert len(proxy._pairs.box) == 10
        assert len(proxy._validation.box) == 6
        pairs = job().pairs.model_copy(update={"negative": 0.5, "blur": 1.0, "colour": 0.2, "grey": 1.0, "jitter": 1.0})
        assert plain(pairs) == plain(job().pairs)
        assert plain(pairs).shift == 2
        assert proxy._validation.positive.all()
        trained = {crop.numpy().tobytes() for crop in proxy._pairs.exemplar}
        assert not trained & {crop.numpy().tobytes() for crop in proxy._validation.exemplar}

    def test_a_loss_beyond_all_bounds_fails_the_child(self, manifest: Path, teachers: dict[str, Path]) -> None:
        wild = {**OPTIMISATION, "optimiser": "sgd", "learning_rate": 1e30}
        assert Proxy(job(optimisation=wild), manifest, teachers["siamfc"]).child_accuracy((0.2,) * 5) is None

    @pytest.mark.parametrize("family", MODULES)
    @pytest.mark.parametrize("omega", [0.0, 10.0])
    def test_children_can_learn_from_the_teacher(
        self, manifest: Path, teachers: dict[str, Path], family: str, omega: float
    ) -> None:
        """The lessons that are taken once are those that the teacher would give on each batch."""
        proxy = Proxy(job(family, distillation={"omega": omega}), manifest, teachers[family])
        rows = proxy._rows(1)
        taught = proxy._loss(proxy.teacher, rows, 1)
        config = proxy.job.selection.distillation
        assert config is not None
        # A student that is the teacher has nothing left to learn but its own ground truth.
        own = proxy._respond(proxy.teacher, _part(proxy._pairs, rows, torch.device("cpu")), 1, ())
        expected = config.lam * own.hard.mean()
        if own.regression is not None:
            expected = expected + config.lam * own.regression.mean()
        assert taught.item() == pytest.approx(expected.item(), rel=1e-3, abs=1e-5)

    def test_another_teacher_is_refused(self, manifest: Path, teachers: dict[str, Path], tmp_path: Path) -> None:
        parameters = training_parameters(job())
        other = parameters.architectures["teacher"].model_copy(update={"width": 0.05})
        network = siamfc.build(other, parameters.geometry)
        checkpoint.save(tmp_path / "other.safetensors", network, network.sidecar())
        with pytest.raises(UserError, match="another architecture"):
            Proxy(job(), manifest, tmp_path / "other.safetensors")


class TestResult:
    @pytest.mark.parametrize("family", MODULES)
    @pytest.mark.parametrize("strategy", ["policy", "random", "uniform"])
    def test_holds_a_student_within_the_budget(
        self, manifest: Path, teachers: dict[str, Path], tmp_path: Path, family: str, strategy: str
    ) -> None:
        out = tmp_path / "found.json"
        found = select_students(job(family, strategy=strategy, updates=2), manifest, teachers[family], out)
        assert json.loads(out.read_text()) == json.loads(json.dumps(found))
        assert not found["fallback"]
        assert found["size_ratio"] >= 8
        module = MODULES[family]
        architecture: Any = searched_architecture(out, family)
        network = module.build(architecture, training_parameters(job(family)).geometry)
        assert sum(parameter.numel() for parameter in network.parameters()) == found["parameters"]
        assert list(module.channels_of(architecture)) == found["channels"]
        trained = [visit for visit in found["visited"] if visit["accuracy"] is not None]
        assert found["reward"] == max(visit["reward"] for visit in trained)
        assert len(found["visited"]) == (1 if strategy == "uniform" else 4)
        (read,) = read_searches([out])
        assert read.strategy == strategy
        assert read.teacher_parameters == pytest.approx(found["teacher_parameters"])
        assert not (tmp_path / "found.resume").exists()

    def test_the_uniform_student_stands_in_only_where_nothing_fits(
        self, manifest: Path, teachers: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(PolicySearch, "propose", lambda self, update: [(1.0,) * 5])
        found = select_students(job(), manifest, teachers["siamfc"], tmp_path / "found.json")
        assert found["fallback"]
        assert found["channels"] == list(found["uniform"]["channels"])
        assert len(set(found["ratios"])) == 1
        assert [visit["reward"] for visit in found["visited"]] == [-1.0] * 3
        assert found["curves"]["best_reward"] == [None] * 3

    def test_a_hopeless_budget_is_refused(self, manifest: Path, teachers: dict[str, Path], tmp_path: Path) -> None:
        with pytest.raises(UserError, match="100000 times smaller"):
            select_students(job(budget=1e5), manifest, teachers["siamfc"], tmp_path / "found.json")

    def test_no_trainable_child_is_an_error(self, manifest: Path, teachers: dict[str, Path], tmp_path: Path) -> None:
        wild = {**OPTIMISATION, "optimiser": "sgd", "learning_rate": 1e30}
        with pytest.raises(UserError, match="no candidate student could be trained"):
            select_students(job(optimisation=wild, updates=1), manifest, teachers["siamfc"], tmp_path / "found.json")

    def test_workers_do_not_matter(self, manifest: Path, teachers: dict[str, Path], tmp_path: Path) -> None:
        files = [tmp_path / f"{workers}.json" for workers in (1, 2)]
        for workers, file in enumerate(files, 1):
            select_students(job(updates=1), manifest, teachers["siamfc"], file, workers=workers)
        assert files[0].read_bytes() == files[1].read_bytes()


class Killed(BaseException):
    """As a signal: nothing catches it."""


class TestResume:
    def counting(self, monkeypatch: pytest.MonkeyPatch, *, kill_at: int | None = None) -> list[Any]:
        trained: list[Any] = []
        own = Proxy.child_accuracy

        def child_accuracy(self: Proxy, ratios: Any) -> float | None:
            if len(trained) == kill_at:
                raise Killed
            trained.append(ratios)
            return own(self, ratios)

        monkeypatch.setattr(Proxy, "child_accuracy", child_accuracy)
        return trained

    @pytest.mark.parametrize("kill_at", [1, 2, 4])
    def test_a_killed_search_goes_on(
        self,
        manifest: Path,
        teachers: dict[str, Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        kill_at: int,
    ) -> None:
        whole, cut = tmp_path / "whole.json", tmp_path / "cut.json"
        with monkeypatch.context() as patch:
            every = self.counting(patch)
            select_students(job(), manifest, teachers["siamfc"], whole)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            self.counting(patch, kill_at=kill_at)
            select_students(job(), manifest, teachers["siamfc"], cut)
        assert not cut.exists()
        lines = (tmp_path / "cut.resume" / "visited.jsonl").read_text().splitlines()
        assert len(lines) == 1 + kill_at
        with monkeypatch.context() as patch:
            rest = self.counting(patch)
            select_students(job(), manifest, teachers["siamfc"], cut)
        assert rest == every[kill_at:]  # none is trained twice
        assert cut.read_bytes() == whole.read_bytes()

    @pytest.mark.parametrize("left", ["", "{", '{"key": "of another search"}\n{"channels": [2], "accuracy": 1}\n'])
    def test_what_was_left_by_another_search_is_ignored(
        self, manifest: Path, teachers: dict[str, Path], tmp_path: Path, left: str
    ) -> None:
        whole, again = tmp_path / "whole.json", tmp_path / "again.json"
        small = job(strategy="uniform")
        select_students(small, manifest, teachers["siamfc"], whole)
        (tmp_path / "again.resume").mkdir()
        (tmp_path / "again.resume" / "visited.jsonl").write_text(left)
        select_students(small, manifest, teachers["siamfc"], again)
        assert whole.read_bytes() == again.read_bytes()
