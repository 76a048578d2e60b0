"""Several ranks end as one job: one clear sentence, exit code 1, the state kept. torchrun itself starts one of the
runs; it is what the others are started like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from distillery import datasets
from distillery.engine import command, distributed
from distillery.engine.command import launched, training
from distillery.engine.stopping import StoppedError
from distillery.errors import UserError
from engine.test_stopping import SPEC, beyond, saved
from engine.test_stopping import command as training_command
from ranks import ended, start

_WORK = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from engine.test_command import HOWS
from distillery.engine.command import training
training(HOWS[sys.argv[1]])(None)
"""


def mistaken(_: Namespace) -> None:
    """The second rank finds a fault while the first waits for it."""
    if distributed.rank() == 1:
        raise UserError("is broken", file="a.jpg", place="line 3", remedy="mend it")
    distributed.totals([1])


def dead(_: Namespace) -> None:
    """The second of three ranks ends as a killed process does."""
    distributed.totals([1])
    if distributed.rank() == 1:
        os._exit(137)
    distributed.totals([1])


def left(_: Namespace) -> None:
    """All ranks leave when asked to."""
    distributed.totals([1])
    raise StoppedError("was stopped.")


HOWS = {"mistaken": mistaken, "dead": dead, "left": left}


def test_launched_by_torchrun_alone() -> None:
    told = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    assert launched(told)
    assert not launched({**told, "WORLD_SIZE": "1"})
    assert not any(launched({name: value for name, value in told.items() if name != left_out}) for left_out in told)


def test_alone_a_command_says_that_it_leaves(capfd: pytest.CaptureFixture[str]) -> None:
    def run(_: Namespace) -> None:
        raise StoppedError("was stopped.")

    with pytest.raises(SystemExit) as ended_with:
        training(run)(Namespace())
    assert ended_with.value.code == 75
    assert capfd.readouterr().err == "distillery: was stopped.\n"


def test_a_fault_at_one_rank_is_told_once() -> None:
    (silent, nothing), (code, error) = ended(start("-c", _WORK, "mistaken"))
    assert (silent, code) == (1, 1)
    assert "a.jpg, line 3, rank 1 of 2: is broken; mend it." in error
    assert nothing == ""


def test_a_rank_that_dies_is_named_once() -> None:
    ends = ended(start("-c", _WORK, "dead", ranks=3))
    assert [code for code, _ in ends] == [1, 137, 1]
    said = [error for _, error in ends if "rank 1 of 3 ended without a word" in error]
    assert len(said) == 1 and "goes on from the state saved last" in said[0]
    assert [error for _, error in ends if error and error not in said] == []


def test_all_ranks_leave_with_one_sentence() -> None:
    ends = ended(start("-c", _WORK, "left"))
    assert [code for code, _ in ends] == [75, 75]
    assert "".join(error for _, error in ends) == "distillery: was stopped.\n"


def test_a_rank_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    place = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", distributed.TIMEOUT: "1"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1: cannot reach the other processes of the job"):
        training(mistaken)(Namespace())


def test_torchrun_trains_what_one_process_trains_and_a_killed_rank_ends_it(tmp_path: Path) -> None:
    manifest = tmp_path / "got10k.json"
    datasets.make("got10k", json.dumps(SPEC), manifest)
    arguments = training_command(manifest, tmp_path / "out", 40)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "distillery", *arguments]
    launcher = subprocess.Popen(torchrun, stderr=subprocess.PIPE, text=True)
    beyond(0, tmp_path / "out", launcher)
    workers = [int(pid) for pid in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()]
    os.kill(workers[1], 9)
    ((code, error),) = ended([launcher])
    assert code == 1
    assert error.count("distillery: rank 1 of 2 ended without a word") == 1
    kept = saved(tmp_path / "out")
    assert kept and [file.name for file in (tmp_path / "out").iterdir()] == ["dim.resume"]
    # A job of the workflow starts one process, which starts its ranks itself.
    plain, asked = [sys.executable, "-m", "distillery", *arguments], {**os.environ, command.RANKS: "2"}
    done = subprocess.run(plain, env=asked, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("train dim+intelligent: 40/40 done") == 1  # the first rank alone speaks
    written = tmp_path / "out" / "dim.json"
    sidecar, lines = json.loads(written.read_text()), written.with_suffix(".jsonl").read_text().splitlines()
    assert sidecar["ranks"] == 2 and "ranks" not in json.dumps(sidecar["parameters"])
    assert [json.loads(line)["step"] for line in lines] == list(range(40))


@pytest.mark.parametrize("ranks", ["0", "two", "-1"])
def test_a_number_of_ranks_that_is_none(monkeypatch: pytest.MonkeyPatch, ranks: str) -> None:
    monkeypatch.setenv(command.RANKS, ranks)
    with pytest.raises(UserError, match=f"DISTILLERY_RANKS: is '{ranks}', not a number of processes"):
        training(mistaken)(Namespace())


def test_ranks_of_a_job_share_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: calls.append(words))
    monkeypatch.setattr(sys, "argv", ["distillery", "train-search", "--debug"])
    for ranks in ("1", "3"):
        monkeypatch.setenv(command.RANKS, ranks)
        monkeypatch.setenv("OMP_NUM_THREADS", "8")
        command._relaunch()
    (words,) = calls
    assert words[1:3] == ["-m", "torch.distributed.run"] and words[-4:] == ["-m", "distillery", *sys.argv[1:]]
    assert words[words.index("--nproc-per-node") + 1] == "3"
    assert os.environ["OMP_NUM_THREADS"] == "2" and command.RANKS not in os.environ


def test_the_report_of_torchrun_gets_the_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    command._record(UserError("is broken", remedy="mend it"))
    told = json.loads((tmp_path / "error.json").read_text())["message"]
    assert told["message"] == told["extraInfo"]["py_callstack"] == "is broken; mend it."
    assert int(told["extraInfo"]["timestamp"]) > 0
