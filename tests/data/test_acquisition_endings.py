"""Killed, out of room, without rights, two at a time: an acquisition loses nothing and goes on."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from acquisition_desk import PETS, Desk
from distillery.errors import UserError

SCRIPT = """
import sys, time
from pathlib import Path
from distillery.config.registry import load_registry
from distillery.data import acquisition, archives
from distillery.data.download import Patience
from distillery.data.pins import Pins
from distillery.errors import UserError
registry, folder, slow = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
write = archives._Tree.write
def slowly(tree, path, member):
    write(tree, path, member)
    time.sleep(slow)
archives._Tree.write = slowly
try:
    told = {"registry": load_registry(registry), "pins": Pins(registry), "patience": Patience(attempts=1)}
    print(acquisition.fetch("pets", folder, **told).done)
except UserError as error:
    sys.exit(str(error))
"""


def run(desk: Desk, slow: float = 0.0, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(desk.registry), str(desk.folder), str(slow)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


class TestEndings:
    def kill(self, child: subprocess.Popen[str]) -> None:
        child.send_signal(signal.SIGKILL)
        child.communicate()

    def wait_for(self, folder: Path, pattern: str) -> None:
        end = time.monotonic() + 30
        while not any(path.stat().st_size for path in folder.glob(pattern)) and time.monotonic() < end:
            time.sleep(0.01)

    def test_killed_while_it_downloads(self, desk: Desk) -> None:
        desk.pets()
        desk.site.pause = lambda path: time.sleep(0.1)
        child = run(desk)
        self.wait_for(desk.folder, "downloads/pets/Dog.zip.part")
        self.kill(child)
        desk.site.pause = lambda path: None
        desk.fetch()
        assert desk.tree() == PETS
        assert desk.site.asked[1][1] is not None  # it went on
        assert desk.left() == ["pets", "pets.fetched.json"]

    def test_killed_while_it_unpacks(self, desk: Desk) -> None:
        desk.pets()
        child = run(desk, slow=5.0)
        self.wait_for(desk.folder, ".pets.partial/.unpacking-*/tree/Dog/img/0001.jpg")
        self.kill(child)
        assert (desk.folder / "downloads" / "pets" / "Dog.zip").is_file()
        desk.fetch()
        assert desk.tree() == PETS
        assert [path for path, _, _ in desk.site.asked] == ["/Dog.zip", "/Cat.zip"]
        assert desk.left() == ["pets", "pets.fetched.json"]

    @pytest.mark.parametrize("moment", ["_merge", "write_json"])
    def test_stopped_at_other_moments(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
        """An error at each call of what moves files or notes what is done; every next run goes on."""
        from distillery.data import assembly

        desk.pets()
        real = getattr(assembly, moment)
        stops = 0
        for after in range(1, 12):
            calls = 0

            def stop(*arguments: Any, after: int = after) -> None:
                nonlocal calls
                calls += 1
                if calls == after:
                    raise KeyboardInterrupt
                real(*arguments)

            monkeypatch.setattr(assembly, moment, stop)
            try:
                desk.fetch()
            except KeyboardInterrupt:
                stops += 1
        assert stops
        assert desk.tree() == PETS

    def test_killed_after_the_set_got_its_place(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.pets()

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("distillery.data.acquisition._record", stop)
            desk.fetch()
        desk.fetch()
        assert set(desk.marker()["archives"]) == {"Dog.zip", "Cat.zip"}
        assert desk.left() == ["pets", "pets.fetched.json"]

    def test_two_at_a_time(self, desk: Desk) -> None:
        desk.pets()
        child = run(desk, slow=0.3)
        self.wait_for(desk.folder, ".pets.partial/.unpacking-*/tree/Dog/img/0001.jpg")
        with pytest.raises(UserError, match="is in use by another process that does the same; wait until it has ended"):
            desk.fetch()
        out, _ = child.communicate()
        assert "is there, made of 2 files" in out
        assert desk.tree() == PETS

    def test_a_full_disk(self, desk: Desk) -> None:
        def narrow() -> None:
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

        desk.pets()
        child = run(desk, preexec_fn=narrow)
        _, said = child.communicate()
        assert "no space left on the disk; what has arrived is kept; free some space and run the same command" in said
        desk.fetch()
        assert desk.tree() == PETS
        assert desk.site.asked[1][1] == "bytes=300000-"

    def test_as_a_user_without_rights(self, desk: Desk) -> None:
        """Not as root, whom no permission stops: the whole way, and a folder that may not be written."""
        with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own are the user's alone
            os.chmod(open_to_all, 0o755)
            self.without_rights(Desk(Path(open_to_all) / "project", desk.site))

    def without_rights(self, desk: Desk) -> None:
        desk.pets()
        desk.fetch()  # which imports what is needed: the interpreter's own folder may be root's
        shutil.rmtree(desk.folder)
        if os.geteuid() == 0:
            for folder in (desk.root, desk.registry.parent):
                os.chown(folder, 65534, 65534)
            desk.registry.with_suffix(".lock.json").unlink()
        assert as_nobody(desk).startswith("is there, made of 2 files")
        assert desk.tree() == PETS
        shutil.rmtree(desk.folder)
        desk.folder.mkdir(mode=0o555)
        said = as_nobody(desk)
        assert said.endswith("permission denied; check the permissions of its folder."), said


def as_nobody(desk: Desk) -> str:
    """What a fetch says to a user who is not root, in a process of its own."""
    ends = multiprocessing.get_context("fork")
    here, there = ends.Pipe()

    def child() -> None:
        if os.geteuid() == 0:
            os.chdir(desk.root)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            there.send(desk.fetch().done)
        except UserError as error:
            there.send(str(error))
        except BaseException as error:
            there.send(repr(error))

    process = ends.Process(target=child)
    process.start()
    said: str = here.recv() if here.poll(60) else "nothing"
    process.join()
    return said
