"""Trainings that lose their node, each in its own way and all at once, and end with the bytes of an undisturbed one.

They save their state when asked to leave and at no other time, so that a state on the disk is the work of the signal,
within the 20 s after which the node sends SIGKILL.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from safetensors import safe_open

from cluster.controllers import Controller, until
from cluster.slurm_node import Node
from project import Project

CROPS = "recordings/smoke/siamfc/crops.safetensors"
TEACHER = "checkpoints/smoke/tracking/siamfc/teacher/seed0"
STEPS = 200


@dataclass(frozen=True)
class Outcome:
    """How a training went.

    Attributes:
        saved: Step after which it left, by the saved state.
        kept: Steps whose metrics it still had when it went on.
        files: Suffix -> content of what it wrote in the end.
    """

    saved: int
    kept: int
    files: dict[str, bytes]


@dataclass
class Training:
    """A project of its own, whose controller has one job in SLURM: a training that has begun."""

    project: Project
    node: Node
    controller: Controller

    @property
    def job(self) -> str:
        return self.controller.jobs()[-1]

    @property
    def state(self) -> Path:
        return (self.project.root / TEACHER).with_suffix(".resume")

    def state_of(self, job: str) -> str:
        return self.node.command("squeue", "-h", "-t", "all", "-j", job, "-o", "%T")

    def process(self) -> psutil.Process | None:
        """The training itself, once it writes metrics."""
        if not (self.state / "metrics.jsonl").exists():
            return None
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "train-trackers" in words and words[0].endswith("python") and process.cwd() == str(self.project.root):
                return process
        return None

    def saved(self) -> int:
        """Step after which the state was saved; 0 if none was."""
        try:
            with safe_open(self.state / "state.safetensors", framework="numpy") as file:
                return int(file.metadata()["step"])
        except OSError:
            return 0


def scancel(training: Training, _: psutil.Process) -> None:
    """A user's or an administrator's; the controller lives and submits the job again."""
    training.node.command("scancel", training.job)


def warning(training: Training, _: psutil.Process) -> None:
    """What `--signal=USR1@120` does two minutes before the end."""
    training.node.command("scancel", "--signal=USR1", training.job)


def requeue(training: Training, _: psutil.Process) -> None:
    """What preemption does: the job goes back to the queue under its number."""
    training.node.command("scontrol", "requeue", training.job)


def drain(training: Training, _: psutil.Process) -> None:
    """The node takes no jobs and gives up this one, until it is resumed."""
    name = training.node.command("squeue", "-h", "-j", training.job, "-o", "%N")
    training.node.command("scontrol", "update", f"NodeName={name}", "State=DRAIN", "Reason=test")
    training.node.command("scontrol", "requeue", training.job)
    until(lambda: training.state_of(training.job) == "PENDING", "the drained job to wait")
    time.sleep(6)  # longer than it would wait otherwise
    assert training.state_of(training.job) == "PENDING"
    training.node.command("scontrol", "update", f"NodeName={name}", "State=RESUME")


def lost_controller(training: Training, process: psutil.Process) -> None:
    """Snakemake is killed; its job is cancelled by the run's name, the lock removed, Snakemake started again."""
    run = training.controller.run_id()
    training.controller.kill()
    time.sleep(1)
    assert process.is_running(), "the job does not need its controller"
    training.node.command("scancel", f"--name={run}")
    until(lambda: training.state_of(training.job) == "CANCELLED", "the job to end")
    training.project.snakemake("--unlock", "--configfile", "long.yaml")
    training.controller.start()


def wall_time(training: Training, process: psutil.Process) -> None:
    """The job's time is up. The training is held until then, so as not to end before."""
    process.suspend()
    training.node.command("scontrol", "update", f"JobId={training.job}", "TimeLimit=1")
    job = training.job
    until(
        lambda: "RUNNING" not in training.node.command("squeue", "-h", "-t", "all", "-j", job, "-o", "%T"), "the limit"
    )


EVENTS = [scancel, warning, requeue, drain, lost_controller, wall_time]
Event = Callable[[Training, psutil.Process], None]


def start(project: Project, node: Node) -> Controller:
    return Controller(project, node, (f"{TEACHER}.safetensors", "--configfile", "long.yaml"))


def disturbed(project: Project, node: Node, event: Event) -> Outcome:
    """A training that meets an event."""
    training = Training(project, node, start(project, node))
    process = until(training.process, "the training to begin")
    time.sleep(0.5)
    assert training.saved() == 0
    began = (training.state / "metrics.jsonl").stat().st_ino
    event(training, process)
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, "the training to leave")
    saved = training.saved()

    def went_on() -> bool:
        try:
            return (training.state / "metrics.jsonl").stat().st_ino != began
        except FileNotFoundError:
            return False

    until(went_on, "the training to go on", pause=0.02)
    kept = len((training.state / "metrics.jsonl").read_text().splitlines())
    training.controller.finish()
    return Outcome(saved, kept, written(project))


def written(project: Project) -> dict[str, bytes]:
    return {suffix: (project.root / f"{TEACHER}.{suffix}").read_bytes() for suffix in ("safetensors", "jsonl", "json")}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the data of the training, and a profile under which it takes some seconds."""
    project = Project.copy(tmp_path_factory.mktemp("prepared") / "project")
    config = yaml.safe_load((project.root / "config" / "smoke.yaml").read_text())
    config["seeds"], config["compute"]["save_every"] = [0], 10_000.0
    config["tracking"]["siamfc"]["runs"]["teacher"]["optimisation"]["steps"] = STEPS
    (project.root / "long.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    project.snakemake(CROPS, "--configfile", "long.yaml", timeout=600)
    return project


@pytest.fixture(scope="module")
def outcomes(slurm: Node, prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """Name of the event -> how the training went; "none" is one that runs here, without SLURM."""
    root, projects = tmp_path_factory.mktemp("trainings"), {}
    for name in ["none", *(event.__name__ for event in EVENTS)]:
        shutil.copytree(prepared.root, root / name, symlinks=True)
        projects[name] = Project(root / name)
    with ThreadPoolExecutor(len(projects)) as pool:
        running = {event.__name__: pool.submit(disturbed, projects[event.__name__], slurm, event) for event in EVENTS}
        projects["none"].snakemake(f"{TEACHER}.safetensors", "--configfile", "long.yaml", timeout=600)
        found = {name: future.result() for name, future in running.items()}
    yield found | {"none": Outcome(0, 0, written(projects["none"]))}


@pytest.mark.parametrize("event", [event.__name__ for event in EVENTS])
def test_a_training_that_loses_its_node_goes_on_and_ends_with_the_same_bytes(
    event: str, outcomes: dict[str, Outcome]
) -> None:
    outcome = outcomes[event]
    assert 0 < outcome.saved < STEPS, "the state was saved, in the middle"
    assert outcome.kept == outcome.saved, "it went on from there"
    assert outcome.files == outcomes["none"].files
