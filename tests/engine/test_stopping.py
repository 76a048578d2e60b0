"""Asked to leave, a training saves its state; the same command ends with the bytes of an undisturbed run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from distillery import cli, datasets
from distillery.engine import stopping
from distillery.engine.stopping import StoppedError
from distillery.tracking.training import TrackerTask
from ranks import ended, start

SPEC = {"source": "embedded", "seed": 3, "train_sequences": 2, "train_frames": 4, "val_sequences": 1, "val_frames": 2}
LONG = 150
"""Steps of a training that is caught in the middle."""


def command(manifest: Path, folder: Path, steps: int = 12, **changes: object) -> list[str]:
    """Arguments of a training of two networks that saves its state often."""
    networks = {"dim": {"width": 0.02}, "intelligent": {"width": 0.03}}
    job = {
        "family": "siamfc",
        "seed": 0,
        "compute": {"device": "cpu", "save_every": 0.05},
        "geometry": {"response_scale": 0.02},
        "pairs": {"epoch": 8},
        "networks": list(networks),
        "architectures": networks,
        "distillation": None,
        "optimisation": {"steps": steps, "batch": 2, "learning_rate": 1e-3},
    }
    outputs = [f"{name}={folder / name}.safetensors" for name in networks]
    arguments = ["--params", json.dumps(job | changes), "--data", str(manifest), "--out", *outputs]
    return ["train-trackers", *arguments]


def saved(folder: Path) -> int:
    """The step with which a training would go on."""
    state = folder / "dim.resume" / "state.safetensors"
    if not state.exists():
        return 0
    with safe_open(state, framework="pt") as file:
        return int(file.metadata()["step"])


def beyond(step: int, folder: Path, *processes: subprocess.Popen[str]) -> None:
    """Waits for a saved state of a later step."""
    deadline = time.monotonic() + 120
    while saved(folder) <= step and time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), ended(list(processes))
        time.sleep(0.01)


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "got10k.json"
    datasets.make("got10k", json.dumps(SPEC), path)
    return path


@pytest.fixture(scope="module")
def whole(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    assert cli.main(command(manifest, folder)) == 0
    return digests(folder)


def test_a_training_that_is_asked_to_leave_goes_on_to_the_same_bytes(manifest: Path, tmp_path: Path) -> None:
    assert cli.main(command(manifest, tmp_path / "whole", LONG)) == 0
    folder, step = tmp_path / "left", 0
    arguments = command(manifest, folder, LONG)
    for asked in (signal.SIGTERM, signal.SIGUSR1):
        (process,) = start("-m", "distillery", *arguments, ranks=1)
        beyond(step, folder, process)
        process.send_signal(asked)
        ((code, error),) = ended([process])
        said = re.search(rf"dim\+intelligent was stopped by {asked.name} after step (\d+) of {LONG}; its state", error)
        assert (code, said is not None) == (75, True), error
        assert "Traceback" not in error
        assert int(said[1]) == saved(folder) > step  # type: ignore[index]
        step = saved(folder)
        assert sorted(digests(folder / "dim.resume")) == ["metrics.jsonl", "state.safetensors"]
        assert [file.name for file in folder.iterdir()] == ["dim.resume"]
    assert cli.main(arguments) == 0
    assert digests(folder) == digests(tmp_path / "whole")


def test_a_changed_config_never_goes_on_with_an_old_state(
    manifest: Path, whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does the old state remain: the folder beside an output holds one."""
    arguments = command(manifest, tmp_path)
    steps = stop_after(7, monkeypatch)
    with pytest.raises(StoppedError):
        cli.main(arguments)
    assert saved(tmp_path) == 7
    with pytest.raises(StoppedError):
        cli.main(command(manifest, tmp_path, seed=1))
    assert saved(tmp_path) == 7
    assert steps == [*range(7), *range(7)]
    monkeypatch.undo()
    assert cli.main(arguments) == 0
    assert digests(tmp_path) == whole


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sends this process SIGTERM in the step before; returns where the steps taken are noted."""
    steps: list[int] = []
    loss = TrackerTask.loss

    def noted(self: TrackerTask, step: int) -> object:
        steps.append(step)
        if step == count - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(self, step)

    monkeypatch.setattr(TrackerTask, "loss", noted)
    return steps


def test_the_last_step_is_not_the_time_to_leave(
    manifest: Path, whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(12, monkeypatch)
    assert cli.main(command(manifest, tmp_path)) == 0
    assert digests(tmp_path) == whole


class TestListening:
    def test_at_once_where_nothing_is_being_learnt(self) -> None:
        with stopping.listening(), pytest.raises(StoppedError) as stopped:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert stopped.value.code == stopping.AGAIN == os.EX_TEMPFAIL
        assert stopped.value.sentence.startswith("stopped by SIGUSR1 between two steps")

    def test_patient_work_looks_by_itself(self) -> None:
        with stopping.listening(), stopping.patient():
            assert stopping.asked() is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert stopping.asked() == "SIGTERM"
        assert stopping.asked() is None

    def test_handlers_are_given_back(self) -> None:
        before = [signal.getsignal(number) for number in stopping.SIGNALS]
        with stopping.listening():
            assert [signal.getsignal(number) for number in stopping.SIGNALS] != before
        assert [signal.getsignal(number) for number in stopping.SIGNALS] == before

    def test_a_reader_that_has_left_does_not_matter(self) -> None:
        read, write = os.pipe()
        os.close(read)
        kept = os.dup(2)
        os.dup2(write, 2)
        try:
            stopping.say("nobody reads this")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(write)
