"""A training job around the loop; the whole of a tracker's job, killed and resumed, is in tests/tracking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distillery.config.base import Section
from distillery.config.training import Compute, Optimisation
from distillery.engine import checkpoint, job
from distillery.engine.devices import Device
from distillery.engine.job import Output, train
from distillery.errors import UserError
from distillery.files import sha256_of_file

CPU = Device(torch.device("cpu"), torch.float32)


class Parameters(Section):
    seed: int = 1
    compute: Compute = Compute(device="cpu")
    colour: str = "red"
    optimisation: Optimisation = Optimisation(steps=5, batch=1)


class Task:
    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)})
        self.steps: list[int] = []
        self.stop_at = stop_at

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.steps.append(step)
        loss = sum(net(torch.ones(1, 2)).square().sum() for net in self.module.values())
        return loss, {"square": loss}

    def after_step(self, step: int) -> None:
        pass


def go(folder: Path, task: Task, parameters: Parameters | None = None) -> None:
    parameters = parameters or Parameters()
    data = folder / "data.json"
    data.parent.mkdir(parents=True, exist_ok=True)
    if not data.exists():
        data.write_text("{}")
    outputs = [Output(folder / "nets" / f"{n}.safetensors", net, {"kind": n}) for n, net in task.module.items()]
    train(
        task,
        parameters,
        parameters.optimisation,
        device=CPU,
        inputs={"data": data},
        outputs=outputs,
        label="test",
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_network_gets_its_checkpoint_sidecar_and_metrics(tmp_path: Path) -> None:
    task = Task()
    go(tmp_path, task)
    files = content(tmp_path / "nets")
    assert sorted(files) == [f"{name}.{kind}" for name in "ab" for kind in ("json", "jsonl", "safetensors")]
    assert files["a.jsonl"] == files["b.jsonl"]
    assert len(files["a.jsonl"].splitlines()) == 5
    sidecar: dict[str, Any] = json.loads(files["b.json"])
    assert sidecar["kind"] == "b"
    assert sidecar["parameters"] == Parameters().model_dump(mode="json")
    assert sidecar["inputs"] == {"data": sha256_of_file(tmp_path / "data.json")}
    last = json.loads(files["a.jsonl"].splitlines()[-1])
    assert sidecar["training"] == {"loss": last["loss"], "square": last["loss"]}
    loaded = checkpoint.load_tensors(tmp_path / "nets" / "a.safetensors")
    assert torch.equal(loaded["weight"], task.module["a"].weight)


def killed(folder: Path, monkeypatch: pytest.MonkeyPatch, parameters: Parameters) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(folder, Task(stop_at=3), parameters)
    assert sorted(content(folder / "nets" / "a.resume")) == ["metrics.jsonl", "state.safetensors"]


OFTEN = Parameters(compute=Compute(device="cpu", save_every=1e-9))


def test_resumes_and_leaves_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(tmp_path / "whole", Task(), OFTEN)
    killed(tmp_path / "halved", monkeypatch, OFTEN)
    task = Task()
    go(tmp_path / "halved", task, OFTEN)
    assert task.steps == [3, 4]
    assert content(tmp_path / "halved" / "nets") == content(tmp_path / "whole" / "nets")


def test_how_often_it_saves_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(tmp_path, monkeypatch, OFTEN)
    task = Task()
    go(tmp_path, task, Parameters())
    assert task.steps == [3, 4]


@pytest.mark.parametrize(
    "changed",
    [
        Parameters(colour="blue"),
        Parameters(seed=2),
        Parameters(compute=Compute(device="cpu", threads=2)),
        Parameters(optimisation=Optimisation(steps=5, batch=1, momentum=0.5)),
    ],
)
def test_changed_parameters_never_resume_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Parameters
) -> None:
    killed(tmp_path, monkeypatch, OFTEN)
    task = Task()
    go(tmp_path, task, changed)
    assert task.steps == [0, 1, 2, 3, 4]


def test_changed_data_never_resume_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(tmp_path, monkeypatch, OFTEN)
    (tmp_path / "data.json").write_text('{"more": 1}')
    task = Task()
    go(tmp_path, task, OFTEN)
    assert task.steps == [0, 1, 2, 3, 4]


def test_a_job_that_dies_while_writing_its_outputs_writes_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(tmp_path / "whole", Task(), OFTEN)
    save = checkpoint.save

    def die_at_second(path: Path, *rest: Any) -> None:
        if path.stem == "b":
            raise KeyboardInterrupt
        save(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(job.checkpoint, "save", die_at_second)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path / "halved", Task(), OFTEN)
    task = Task()
    go(tmp_path / "halved", task, OFTEN)
    assert task.steps == []
    assert content(tmp_path / "halved" / "nets") == content(tmp_path / "whole" / "nets")


def test_an_output_that_would_overwrite_its_own_sidecar(tmp_path: Path) -> None:
    task = Task()
    output = Output(tmp_path / "a.json", task.module, {"kind": "a"})
    with pytest.raises(UserError, match=r"a\.json: does not end in \.safetensors"):
        train(
            task,
            Parameters(),
            Parameters().optimisation,
            device=CPU,
            inputs={},
            outputs=[output],
            label="test",
        )
    assert task.steps == []
    assert list(tmp_path.iterdir()) == []
