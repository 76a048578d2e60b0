from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from distillery.config.training import Compute, Optimisation
from distillery.engine import loop
from distillery.engine.checkpoint import load_tensors, save_tensors
from distillery.engine.devices import Device
from distillery.engine.loop import fit, learning_rate, summary
from distillery.engine.randomness import torch_generator
from distillery.errors import UserError

CPU = Device(torch.device("cpu"), torch.float32)


class Killed(BaseException):
    """Stands for a kill signal: nothing catches it."""


class Regression:
    """Fits a line to noise that derives from the step; a buffer counts steps, as a table or a queue would."""

    def __init__(self, stop_at: int | None = None, fault_at: int | None = None, width: int = 3) -> None:
        torch.manual_seed(0)
        self.module = nn.Linear(width, 1)
        self.module.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.stop_at, self.fault_at, self.drawn = stop_at, fault_at, []

    def loss(self, step: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        if step == self.stop_at:
            raise Killed
        inputs = torch.randn(8, self.module.in_features, generator=torch_generator(5, "data", step))
        wanted = inputs.sum(1, keepdim=True)
        error = (self.module(inputs) - wanted).square().mean()
        self.drawn.append(torch.rand(()).item())  # what library samplers do
        if step == self.fault_at:
            error = error * math.nan
        return error, {"mse": error, "twice": 2 * error}

    def after_step(self, step: int) -> None:
        self.module.count += 1


def optimisation(**changes: object) -> Optimisation:
    values: dict[str, object] = {"steps": 12, "batch": 8, "learning_rate": 0.05, "final_learning_rate": 0.01}
    return Optimisation(**(values | changes))


def run(
    task: Regression, state: Path, *, key: str = "k", save_every: float = 1e-9, device: Device = CPU, **changes: object
) -> list[dict[str, float]]:
    metrics = fit(
        task,
        optimisation=optimisation(**changes),
        compute=Compute(device="cpu", save_every=save_every),
        device=device,
        seed=3,
        state=state,
        key=key,
        label="test",
    )
    return [json.loads(line) for line in metrics.read_text().splitlines()]


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


class TestLearningRate:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            ("constant", [0.1, 0.1, 0.1, 0.1, 0.1]),
            ("exponential", [1e-1, 1e-1 * 10**-0.5, 1e-2, 1e-2 * 10**-0.5, 1e-3]),
            ("cosine", [0.1, 0.0505 + 0.0495 * math.sqrt(0.5), 0.0505, 0.0505 - 0.0495 * math.sqrt(0.5), 0.001]),
            ("step", [0.1, 0.1, 0.1, 0.001, 0.001]),
        ],
    )
    def test_schedules(self, schedule: str, expected: list[float]) -> None:
        spec = optimisation(steps=5, learning_rate=0.1, final_learning_rate=0.001, schedule=schedule, step_at=0.75)
        assert [learning_rate(spec, step) for step in range(5)] == pytest.approx(expected)

    def test_warm_up_is_linear_from_a_thousandth(self) -> None:
        spec = optimisation(steps=10, learning_rate=1.0, final_learning_rate=1.0, warmup_steps=4)
        rates = [learning_rate(spec, step) for step in range(5)]
        assert rates == pytest.approx([0.001 + 0.999 / 4, 0.001 + 0.999 / 2, 0.001 + 0.999 * 3 / 4, 1, 1])

    def test_a_single_step(self) -> None:
        assert learning_rate(optimisation(steps=1), 0) == 0.05

    def test_torch_agrees_on_cosine(self) -> None:
        spec = optimisation(steps=21, learning_rate=0.3, final_learning_rate=0.02, schedule="cosine")
        optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
        peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 20, 0.02)
        for step in range(21):
            assert learning_rate(spec, step) == pytest.approx(peer.get_last_lr()[0])
            optimiser.step()
            peer.step()


def test_a_run_equals_the_textbook_loop(tmp_path: Path) -> None:
    task, peer = Regression(), Regression()
    lines = run(task, tmp_path / "s")
    optimiser = torch.optim.SGD(peer.module.parameters(), lr=0, momentum=0.9, weight_decay=5e-4)
    losses = []
    for step in range(12):
        optimiser.param_groups[0]["lr"] = 0.05 * 0.2 ** (step / 11)
        loss = peer.loss(step)[0]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        peer.after_step(step)
        losses.append(loss.item())
    assert same(task.module, peer.module)
    assert [line["loss"] for line in lines] == losses
    assert [line["step"] for line in lines] == list(range(12))
    assert [line["twice"] for line in lines] == pytest.approx([2 * loss for loss in losses])
    assert lines[-1]["learning_rate"] == pytest.approx(0.01)


def test_the_loss_falls(tmp_path: Path) -> None:
    lines = run(Regression(), tmp_path / "s", steps=60, save_every=1e9)
    assert lines[-1]["loss"] < 0.05 * lines[0]["loss"]
    assert not (tmp_path / "s" / "state.safetensors").exists()  # it was never time to save


def test_library_samplers_see_a_generator_of_the_step(tmp_path: Path) -> None:
    first, second = Regression(), Regression()
    run(first, tmp_path / "a")
    torch.rand(100)
    run(second, tmp_path / "b")
    assert first.drawn == second.drawn
    assert len(set(first.drawn)) == 12


def test_long_trainings_leave_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop.LOGGED_STEPS == 500
    monkeypatch.setattr(loop, "LOGGED_STEPS", 10)
    lines = run(Regression(), tmp_path / "s", steps=36, save_every=1e9)
    assert [line["step"] for line in lines] == [*range(0, 36, 3), 35]


def test_clipping_bounds_the_update(tmp_path: Path) -> None:
    task, before = Regression(), Regression()
    run(task, tmp_path / "s", steps=1, clip=1e-3, weight_decay=0.0)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(task.module.parameters(), before.module.parameters(), strict=True)]
    )
    assert moved.norm().item() == pytest.approx(0.05 * 1e-3, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_trains_and_resumes(tmp_path: Path, dtype: torch.dtype) -> None:
    device = Device(torch.device("cpu"), dtype)
    whole, halved = Regression(), Regression(stop_at=7)
    lines = run(whole, tmp_path / "a", device=device)
    assert lines[-1]["loss"] < lines[0]["loss"]
    with pytest.raises(Killed):
        run(halved, tmp_path / "b", device=device)
    again = Regression()
    assert run(again, tmp_path / "b", device=device) == lines
    assert same(again.module, whole.module)
    assert again.module.weight.dtype == torch.float32


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite(tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math, "nan", value)
    with pytest.raises(UserError, match=rf"the loss of test is {value} at step 4; lower optimisation\.learning_rate"):
        run(Regression(fault_at=4), tmp_path / "s")


class TestResume:
    @pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
    @pytest.mark.parametrize("stop_at", [0, 1, 7, 11])
    def test_goes_on_as_if_nothing_had_happened(self, tmp_path: Path, optimiser: str, stop_at: int) -> None:
        whole = Regression()
        lines = run(whole, tmp_path / "a", optimiser=optimiser)
        with pytest.raises(Killed):
            run(Regression(stop_at=stop_at), tmp_path / "b", optimiser=optimiser)
        again = Regression()
        assert run(again, tmp_path / "b", optimiser=optimiser) == lines
        assert same(again.module, whole.module)
        assert again.module.count.item() == 12
        assert len(again.drawn) == 12 - stop_at  # it did go on, not begin anew
        assert (tmp_path / "b" / "metrics.jsonl").read_bytes() == (tmp_path / "a" / "metrics.jsonl").read_bytes()

    def test_steps_after_the_saved_one_are_taken_again(self, tmp_path: Path) -> None:
        """A kill comes at any time: the metrics are ahead of the state, and the last line is cut off."""
        whole = Regression()
        lines = run(whole, tmp_path / "a")
        with pytest.raises(Killed):
            run(Regression(stop_at=6), tmp_path / "b")
        state = load_tensors(tmp_path / "b" / "state.safetensors")
        assert state["module/count"].item() == 6
        metrics = tmp_path / "b" / "metrics.jsonl"
        metrics.write_text(metrics.read_text() + '{"step": 6, "learning_rate": 0, "loss": 1}\n{"step": 7, "lea')
        assert run(Regression(), tmp_path / "b") == lines

    def test_another_key_begins_anew(self, tmp_path: Path) -> None:
        with pytest.raises(Killed):
            run(Regression(stop_at=6), tmp_path / "s", key="old")
        again = Regression()
        assert len(run(again, tmp_path / "s", key="new")) == 12
        assert len(again.drawn) == 12

    @pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "pickle", "folder"])
    def test_a_state_that_cannot_be_read_begins_anew(self, tmp_path: Path, damage: str) -> None:
        with pytest.raises(Killed):
            run(Regression(stop_at=6), tmp_path / "s")
        state = tmp_path / "s" / "state.safetensors"
        good = state.read_bytes()
        if damage == "folder":
            state.unlink()
            state.mkdir()
        elif damage == "pickle":
            torch.save({"a": torch.ones(1)}, state)
        else:
            state.write_bytes({"truncated": good[:-3], "garbage": b"\xff" * 300, "empty": b""}[damage])
        again = Regression()
        assert len(run(again, tmp_path / "s", save_every=1e9)) == 12
        assert len(again.drawn) == 12

    def test_metrics_that_cannot_be_read_do_not_stop_a_new_start(self, tmp_path: Path) -> None:
        (tmp_path / "s").mkdir()
        (tmp_path / "s" / "metrics.jsonl").write_text("\0\0 not json\n")
        assert len(run(Regression(), tmp_path / "s")) == 12

    def test_a_state_of_another_network_begins_anew(self, tmp_path: Path) -> None:
        """The key knows parameters and data, not the code that made a network of them."""
        with pytest.raises(Killed):
            run(Regression(stop_at=6, width=5), tmp_path / "s")
        again = Regression()
        assert len(run(again, tmp_path / "s")) == 12
        assert len(again.drawn) == 12

    def test_saving_never_leaves_half_a_state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Killed):
            run(Regression(stop_at=6), tmp_path / "s")
        good = (tmp_path / "s" / "state.safetensors").read_bytes()

        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("distillery.engine.checkpoint.save_file", fail)
        with pytest.raises(UserError, match=r"state\.safetensors: no space left on the disk"):
            run(Regression(), tmp_path / "s")
        assert (tmp_path / "s" / "state.safetensors").read_bytes() == good
        assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["metrics.jsonl", "state.safetensors"]

    def test_the_step_is_saved_with_the_state(self, tmp_path: Path) -> None:
        """A finished run whose job died before writing its outputs has nothing left to train."""
        whole = Regression()
        lines = run(whole, tmp_path / "s")
        again = Regression()
        assert run(again, tmp_path / "s") == lines
        assert again.drawn == []
        assert same(again.module, whole.module)


def test_summary_is_the_mean_of_the_last_tenth(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text(
        "".join(json.dumps({"step": i, "learning_rate": 1, "loss": i, "x": 2 * i}) + "\n" for i in range(20))
    )
    assert summary(file) == {"loss": 18.5, "x": 37.0}
    file.write_text('{"step": 0, "learning_rate": 1, "loss": 4}\n')
    assert summary(file) == {"loss": 4}


def test_states_are_plain_tensors(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(Regression(stop_at=3), tmp_path / "s", optimiser="adamw")
    tensors = load_tensors(tmp_path / "s" / "state.safetensors")
    names = {"module/weight", "module/bias", "module/count"}
    names |= {f"optimiser/{index}/{entry}" for index in (0, 1) for entry in ("step", "exp_avg", "exp_avg_sq")}
    assert set(tensors) == names
    save_tensors(tmp_path / "again", tensors)
