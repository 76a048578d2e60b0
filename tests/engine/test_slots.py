"""Jobs side by side hold different GPUs, for as long as they live."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from distillery.config.training import Compute
from distillery.engine import devices, slots

_HOLD = "import sys; from pathlib import Path; from distillery.engine import slots; " + (
    "print(*slots.take(sys.argv[2].split(','), int(sys.argv[3]), Path(sys.argv[1])), flush=True); sys.stdin.read()"
)


class Holder:
    """Another process that takes GPUs and lives until it is told to end."""

    def __init__(self, folder: Path, devices: str, count: int = 1) -> None:
        command = [sys.executable, "-c", _HOLD, str(folder), devices, str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.devices = self.process.stdout.readline().split()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "slots"


@pytest.fixture(autouse=True)
def _release(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slots, "_held", [])
    yield
    for file in slots._held:
        os.close(file)


def test_jobs_take_different_gpus_and_share_evenly_when_there_are_no_more(folder: Path) -> None:
    holders = [Holder(folder, "0,1") for _ in range(3)]
    try:
        assert [holder.devices for holder in holders] == [["0"], ["1"], ["0"]]
        assert slots.take(["0", "1"], folder=folder) == ["1"]
        holders[1].end()  # killed, with no chance to tidy up
        fourth = Holder(folder, "0,1")
        holders.append(fourth)
        assert fourth.devices == ["1"]
    finally:
        for holder in holders:
            holder.end()
    assert Path(folder).is_dir()


def test_a_job_of_several_ranks_takes_several(folder: Path) -> None:
    pair = Holder(folder, "a,b,c", 2)
    try:
        assert pair.devices == ["a", "b"]
        assert slots.take(["a", "b", "c"], 2, folder) == ["a", "c"]  # the free one, and one to share
        assert slots.take(["a", "b"], 5, folder) == ["a", "b"]
    finally:
        pair.end()


def test_without_gpus_there_is_nothing_to_take(folder: Path) -> None:
    assert slots.take([], folder=folder) == []


@pytest.mark.parametrize("fault", ["a file", "a link"])
def test_a_folder_that_is_not_ours_is_not_used(folder: Path, tmp_path: Path, fault: str) -> None:
    if fault == "a file":
        folder.write_text("")
    else:
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    assert slots.take(["0"], folder=folder) == []
    assert fault == "a file" or list((tmp_path / "elsewhere").iterdir()) == []


class TestPrepared:
    """What `devices.prepare` makes of them."""

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
        monkeypatch.delenv(slots.VISIBLE, raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        monkeypatch.setenv(slots.NAMED, "4,GPU-7")
        yield
        monkeypatch.delenv(slots.VISIBLE, raising=False)
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)

    def test_a_job_sees_its_own_gpu_alone(self, tmp_path: Path) -> None:
        other = Holder(tmp_path / f"distillery-gpus-{os.getuid()}", "4,GPU-7")
        try:
            devices.prepare(Compute())
            assert (other.devices, os.environ[slots.VISIBLE]) == (["4"], "GPU-7")
            devices.prepare(Compute())  # one process, one GPU
            assert len(slots._held) == 1
        finally:
            other.end()

    @pytest.mark.parametrize("given", ["", "2"])
    def test_the_schedulers_word_counts(self, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
        monkeypatch.setenv(slots.VISIBLE, given)
        devices.prepare(Compute())
        assert os.environ[slots.VISIBLE] == given and slots._held == []

    def test_a_job_on_the_processor_takes_none(self) -> None:
        devices.prepare(Compute(device="cpu"))
        assert slots.VISIBLE not in os.environ and slots._held == []

    def test_no_gpu_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(slots.NAMED, "")
        devices.prepare(Compute())
        assert slots.VISIBLE not in os.environ
