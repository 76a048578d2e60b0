"""A tracker's training: what its steps compute, and that a kill at any time does not change what it writes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from distillery import cli, datasets
from distillery.config.base import parse
from distillery.config.tracking import SiamFCTraining, TrackerTraining
from distillery.engine import checkpoint
from distillery.engine.devices import Device
from distillery.errors import UserError
from distillery.tracking import lessons
from distillery.tracking.benchmarks import got10k
from distillery.tracking.pairs import PairSampler
from distillery.tracking.siamfc import SiamFC, build, load
from distillery.tracking.siamfc_training import responder
from distillery.tracking.training import TrackerTask, record_teacher, train_trackers

CPU = Device(torch.device("cpu"), torch.float32)
SPEC = {"source": "embedded", "seed": 3, "train_sequences": 3, "train_frames": 4, "val_sequences": 1, "val_frames": 2}
SHARING = {"sharing": {"threshold": 1.0, "granularity": "sample"}, "layers": [3, 5], "omega": 10.0}


def parameters(*, steps: int = 3, names: tuple[str, ...] = ("dim",), **changes: Any) -> TrackerTraining:
    widths = {"teacher": 0.04, "dim": 0.02, "intelligent": 0.03}
    plain = {
        "family": "siamfc",
        "seed": 0,
        "compute": {"device": "cpu", "precision": "float32", "threads": 1, "save_every": 30.0},
        "geometry": {"response_scale": 0.02},
        "pairs": {"epoch": 8},
        "networks": list(names),
        "architectures": {name: {"width": widths[name]} for name in names},
        "distillation": None,
        "optimisation": {"steps": steps, "batch": 2, "optimiser": "adamw", "learning_rate": 2e-3},
    }
    return parse(SiamFCTraining, plain | changes, source="test")


def students(**changes: Any) -> TrackerTraining:
    return parameters(names=("dim", "intelligent"), **({"distillation": SHARING} | changes))


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
def teacher(manifest: Path) -> Path:
    path = manifest.parent / "teacher.safetensors"
    train_trackers(parameters(names=("teacher",)), manifest, {"teacher": path})
    return path


def task(manifest: Path, job: TrackerTraining, teacher: Path | None = None) -> TrackerTask:
    clips = got10k.load(manifest.with_suffix(""), "train")
    networks = {name: build(architecture, job.geometry) for name, architecture in job.architectures.items()}
    respond = responder(job, CPU)
    teach = None
    if teacher:
        teach = lessons.live(load(teacher).requires_grad_(False), respond, job.distillation)
    return TrackerTask(networks, respond, teach, PairSampler(clips, job.pairs, job.geometry, job.seed), job, CPU)


class TestTask:
    def test_ground_truth_alone(self, manifest: Path) -> None:
        made = task(manifest, parameters(names=("dim", "intelligent")))
        loss, terms = made.loss(0)
        assert set(terms) == {"dim/logistic", "intelligent/logistic"}
        assert loss.item() == pytest.approx(sum(term.item() for term in terms.values()))
        loss.backward()
        assert all(parameter.grad is not None for parameter in made.module.parameters())

    def test_one_forward_of_the_teacher_for_all_students(
        self, manifest: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = students()
        frozen, respond = load(teacher).requires_grad_(False), responder(job, CPU)
        made = task(manifest, job)
        made._teacher = lessons.live(frozen, respond, job.distillation)
        calls: list[tuple[Any, bool, bool]] = []
        forward = SiamFC.forward

        def counted(self: SiamFC, z: torch.Tensor, x: torch.Tensor, taps: Any = ()) -> Any:
            calls.append((self, torch.is_grad_enabled(), self.training))
            return forward(self, z, x, taps)

        monkeypatch.setattr(SiamFC, "forward", counted)
        made.module.train()
        loss, terms = made.loss(0)
        of_teacher = [(grad, training) for network, grad, training in calls if network is frozen]
        assert of_teacher == [(False, False)]
        assert len(calls) == 3
        kinds = ("teacher_soft", "adaptive_hard", "target_response", "sharing", "gate")
        assert set(terms) == {f"{n}/{k}" for n in ("dim", "intelligent") for k in kinds} | {"teacher/ground_truth"}
        before = {name: value.clone() for name, value in frozen.state_dict().items()}
        loss.backward()
        assert all(parameter.grad is None for parameter in frozen.parameters())
        assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())
        assert not any(p is q for p in made.module.parameters() for q in frozen.parameters())

    @pytest.mark.parametrize(("omega", "taps"), [(0.0, ()), (1.0, (3, 5))])
    def test_features_are_tapped_only_where_they_are_compared(
        self, manifest: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, omega: float, taps: tuple[int, ...]
    ) -> None:
        made = task(manifest, students(distillation={**SHARING, "omega": omega}), teacher)
        asked = []
        forward = SiamFC.forward
        monkeypatch.setattr(
            SiamFC, "forward", lambda self, z, x, taps=(): asked.append(tuple(taps)) or forward(self, z, x, taps)
        )
        _, terms = made.loss(0)
        assert set(asked) == {taps}
        assert ("dim/target_response" in terms) == bool(taps)

    def test_sharing_decays_by_epochs_of_pairs(
        self, manifest: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = task(manifest, students(), teacher)
        pairs = made._sampler.batch(0, 2)
        monkeypatch.setattr(made._sampler, "batch", lambda step, size: pairs)
        shared = [made.loss(step)[1]["dim/sharing"].item() for step in (0, 3, 4, 8)]  # batch 2, epoch 8
        assert shared == pytest.approx([shared[0], shared[0], 0.9 * shared[0], 0.81 * shared[0]])
        assert shared[0] > 0

    def test_the_loss_falls(self, manifest: Path, tmp_path: Path) -> None:
        job = parameters(steps=40, names=("intelligent",))
        train_trackers(job, manifest, {"intelligent": tmp_path / "n.safetensors"})
        lines = [json.loads(line) for line in (tmp_path / "n.jsonl").read_text().splitlines()]
        first, last = (sum(line["loss"] for line in part) / 8 for part in (lines[:8], lines[-8:]))
        assert last < 0.9 * first


def test_a_network_may_have_the_name_of_a_method_of_torch(manifest: Path, tmp_path: Path) -> None:
    widths = {"items": {"width": 0.02}, "dim": {"width": 0.02}}
    job = parameters(steps=1, networks=list(widths), architectures=widths)
    train_trackers(job, manifest, {name: tmp_path / f"{name}.safetensors" for name in job.networks})
    assert load(tmp_path / "items.safetensors").architecture == job.architectures["items"]


def test_a_name_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"a\.b"):
        parameters(networks=["a.b"], architectures={"a.b": {"width": 0.02}})


def initial(manifest: Path, job: TrackerTraining, name: str, folder: Path, teacher: Path | None = None) -> torch.Tensor:
    """First weights of a network after a job whose learning rate is next to nothing."""
    optimisation = {"steps": 1, "batch": 2, "learning_rate": 1e-30, "final_learning_rate": 1e-30}
    tiny = parse(SiamFCTraining, job.model_dump(mode="json") | {"optimisation": optimisation}, source="test")
    train_trackers(tiny, manifest, {n: folder / f"{n}.safetensors" for n in tiny.networks}, teacher)
    return checkpoint.load_tensors(folder / f"{name}.safetensors")["backbone.layers.0.0.weight"]


def test_a_network_starts_the_same_whoever_is_trained_beside_it(manifest: Path, teacher: Path, tmp_path: Path) -> None:
    alone = initial(manifest, parameters(), "dim", tmp_path / "a")
    beside = initial(manifest, students(), "dim", tmp_path / "b", teacher)
    other_seed = initial(manifest, parameters(seed=1), "dim", tmp_path / "c")
    assert torch.equal(alone, beside)
    assert not torch.equal(alone, other_seed)


@pytest.fixture(scope="module")
def recording(manifest: Path, teacher: Path) -> Path:
    path = manifest.parent / "recording.safetensors"
    record_teacher(students(), manifest, teacher, path)
    return path


class TestRecording:
    """A recording is the teacher's voice: a student learns the same bytes from it as from the teacher."""

    def test_the_same_bytes_as_from_the_teacher(
        self, manifest: Path, teacher: Path, recording: Path, tmp_path: Path
    ) -> None:
        written = []
        for folder, source in (("live", None), ("recorded", recording)):
            outputs = {name: tmp_path / folder / f"{name}.safetensors" for name in ("dim", "intelligent")}
            train_trackers(students(), manifest, outputs, teacher, recording=source)
            written.append(digests(tmp_path / folder))
        assert written[0] == written[1]

    @pytest.mark.parametrize(
        "changes",
        [{"seed": 1}, {"pairs": {"epoch": 9}}, {"steps": 4}, {"distillation": {**SHARING, "template": 5}}],
        ids=["seed", "pairs", "steps", "template"],
    )
    def test_a_recording_of_something_else_is_refused(
        self, manifest: Path, teacher: Path, recording: Path, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        outputs = {name: tmp_path / f"{name}.safetensors" for name in ("dim", "intelligent")}
        with pytest.raises(UserError, match="a recording of other pairs, data or another teacher; record"):
            train_trackers(students(**changes), manifest, outputs, teacher, recording=recording)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("content", [None, b"", b"pickle"])
    def test_a_broken_recording_is_told(
        self, manifest: Path, teacher: Path, tmp_path: Path, content: bytes | None
    ) -> None:
        broken = tmp_path / "broken.safetensors"
        if content is not None:
            broken.write_bytes(content)
        outputs = {name: tmp_path / f"{name}.safetensors" for name in ("dim", "intelligent")}
        with pytest.raises(UserError, match=r"broken\.safetensors: (does not exist|is truncated)"):
            train_trackers(students(), manifest, outputs, teacher, recording=broken)


def test_the_control_spreads_the_labels_and_needs_no_teacher(manifest: Path) -> None:
    made = task(manifest, parameters(control="label_map"))
    loss, terms = made.loss(0)
    assert set(terms) == {"dim/label_map", "dim/logistic"}
    alone = task(manifest, parameters())
    alone.module.load_state_dict(made.module.state_dict())
    assert terms["dim/logistic"].item() == pytest.approx(0.1 * alone.loss(0)[0].item(), rel=1e-4)
    assert loss.item() == pytest.approx(sum(term.item() for term in terms.values()))


def test_the_teacher_is_silent_while_the_students_warm_up(manifest: Path, teacher: Path) -> None:
    made = task(manifest, students(distillation={**SHARING, "warmup_epochs": 1}), teacher)
    assert set(made.loss(3)[1]) == {"dim/logistic", "intelligent/logistic"}  # batch 2, epoch 8
    assert "dim/teacher_soft" in made.loss(4)[1]


class TestSearched:
    """A network that the parameters do not describe looks as its search says."""

    def test_its_architecture_comes_from_the_result(self, manifest: Path, tmp_path: Path) -> None:
        found = tmp_path / "found.json"
        found.write_text(json.dumps({"kind": "siamfc", "architecture": {"width": 0.03}}))
        job = parameters(steps=1, architectures={})
        train_trackers(job, manifest, {"dim": tmp_path / "dim.safetensors"}, searched={"dim": found})
        assert load(tmp_path / "dim.safetensors").architecture.width == 0.03
        inputs = json.loads((tmp_path / "dim.json").read_text())["inputs"]
        assert inputs["dim"] == hashlib.sha256(found.read_bytes()).hexdigest()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, r"--searched: nothing says what the network 'dim' looks like"),
            ('{"kind": "siamrpn"}', r"found\.json, kind: is not the result of a search for siamfc students"),
            ('{"kind": "siamfc", "architecture": {"widht": 1}}', "did you mean `width`"),
            ("[]", "is not the result of a search"),
            ("{", r"found\.json"),
        ],
    )
    def test_faults(self, manifest: Path, tmp_path: Path, content: str | None, words: str) -> None:
        found = tmp_path / "found.json"
        if content is not None:
            found.write_text(content)
        job = parameters(steps=1, architectures={})
        given = {} if content is None else {"dim": found}
        with pytest.raises(UserError, match=words):
            train_trackers(job, manifest, {"dim": tmp_path / "dim.safetensors"}, searched=given)


class TestOutputs:
    def test_checkpoints_sidecars_and_metrics(self, manifest: Path, teacher: Path, tmp_path: Path) -> None:
        outputs = {name: tmp_path / name / "seed0.safetensors" for name in ("dim", "intelligent")}
        train_trackers(students(), manifest, outputs, teacher)
        for name, path in outputs.items():
            assert sorted(file.name for file in path.parent.iterdir()) == [
                "seed0.json",
                "seed0.jsonl",
                "seed0.safetensors",
            ]
            sidecar = json.loads(path.with_suffix(".json").read_text())
            assert sidecar["parameters"] == students().model_dump(mode="json")
            assert sidecar["inputs"] == {
                "data": hashlib.sha256(manifest.read_bytes()).hexdigest(),
                "teacher": hashlib.sha256(teacher.read_bytes()).hexdigest(),
            }
            assert load(path).architecture == students().architectures[name]
            assert f"{name}/gate" in sidecar["training"]
        lines = [json.loads(line) for line in outputs["dim"].with_suffix(".jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [0, 1, 2]

    @pytest.mark.parametrize("fault", ["names", "teacher", "manifest", "image", "teacher file"])
    def test_faults(self, manifest: Path, teacher: Path, tmp_path: Path, fault: str) -> None:
        outputs = {name: tmp_path / "out" / f"{name}.safetensors" for name in ("dim", "intelligent")}
        data = tmp_path / "got10k.json"
        datasets.make("got10k", json.dumps({**SPEC, "train_sequences": 1}), data)
        sentence, given = {
            "names": (r"--out: names \['dim'\], the job trains \['dim', 'intelligent'\]", teacher),
            "teacher": (r"--teacher: a teacher and distillation parameters go together; give both", None),
            "manifest": (r"got10k\.json: does not exist", teacher),
            "image": (r"got10k: lacks 1 of \d+ files, the first is train/", teacher),
            "teacher file": (r"none\.safetensors: does not exist", tmp_path / "none.safetensors"),
        }[fault]
        if fault == "names":
            del outputs["intelligent"]
        if fault == "manifest":
            data.unlink()
        if fault == "image":
            next(data.with_suffix("").rglob("train/*/*.jpg")).unlink()
        with pytest.raises(UserError, match=sentence):
            train_trackers(students(), data, outputs, given)
        assert not (tmp_path / "out").exists()


# The job of the kill test: a teacher, two students, everything that is random, and a state saved at every step.
LONG = students(
    steps=40,
    pairs={"epoch": 32, "colour": 0.1},
    compute={"device": "cpu", "precision": "float32", "threads": 1, "save_every": 1e-3},
)


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def saved_step(state: Path) -> int:
    if not state.exists():
        return -1
    with safe_open(state, framework="pt") as file:  # written atomically: once there, it can always be read
        return int(file.metadata()["step"])


def test_killed_in_the_middle_it_writes_the_same_bytes(manifest: Path, teacher: Path, tmp_path: Path) -> None:
    def command(folder: str) -> list[str]:
        outputs = [f"{name}={tmp_path / folder / name}.safetensors" for name in LONG.networks]
        inputs = ["--params", LONG.model_dump_json(), "--data", str(manifest), "--teacher", str(teacher)]
        return ["train-trackers", *inputs, "--out", *outputs]

    assert cli.main(command("whole")) == 0
    expected = digests(tmp_path / "whole")
    assert sorted(expected) == [f"{n}.{k}" for n in LONG.networks for k in ("json", "jsonl", "safetensors")]

    state = tmp_path / "killed" / "dim.resume" / "state.safetensors"
    process = subprocess.Popen(
        [sys.executable, "-m", "distillery", *command("killed")],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while saved_step(state) < 10 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    _, error = process.communicate()
    assert process.returncode == -signal.SIGKILL, error.decode()
    reached = saved_step(state)
    assert 10 <= reached < 40
    assert [file.name for file in (tmp_path / "killed").iterdir()] == ["dim.resume"]  # no output before the end

    steps: list[int] = []
    loss = TrackerTask.loss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrackerTask, "loss", lambda self, step: steps.append(step) or loss(self, step))
        assert cli.main(command("killed")) == 0
    assert steps == list(range(reached, 40))
    assert digests(tmp_path / "killed") == expected
