"""A training command around its work: it leaves when asked, and as one of several ranks it speaks with one voice."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path

from distillery.engine import stopping
from distillery.engine.stopping import StoppedError, say
from distillery.errors import UserError

Command = Callable[[Namespace], None]
_TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells every process that it starts."""
RANKS = "DISTILLERY_RANKS"
"""Variable that makes a training start itself under torchrun, as so many ranks on this machine: how a job of the
workflow, which starts one process, gets several."""
_LISTENED = 10.0
"""Seconds that a rank which lost another one waits for what the rest say."""


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is one of several that torchrun has started."""
    return all(environment.get(name) for name in _TOLD) and int(environment["WORLD_SIZE"]) > 1


def training(run: Command) -> Command:
    """Makes a command heed SIGTERM and SIGUSR1, and join the other ranks where torchrun has started several.

    Asked to leave it exits with `stopping.AGAIN`. Of all ranks' errors the first is told, with the rank; all others
    end silently with exit code 1.
    """

    @wraps(run)
    def command(options: Namespace) -> None:
        _relaunch()
        with stopping.listening():
            if launched():
                _as_rank(run, options)
                return
            try:
                run(options)
            except StoppedError as stop:
                say(stop.sentence)
                raise

    return command


def _relaunch() -> None:
    """Replaces this process by torchrun with the same command, if `RANKS` asks for more than one."""
    ranks = os.environ.pop(RANKS, "") or "1"
    if not (ranks.isdecimal() and int(ranks)):
        raise UserError(f"is {ranks!r}, not a number of processes", place=RANKS, remedy="set it to 1 or more, or not")
    if launched() or int(ranks) == 1:
        return
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal():  # those of the job are shared among its ranks
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(threads) // int(ranks)))
    here = ["--standalone", "--nproc-per-node", ranks, "--signals-to-handle", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *here]
    os.execv(sys.executable, [*torchrun, "-m", "distillery", *sys.argv[1:]])


def _as_rank(run: Command, options: Namespace) -> None:
    from distillery.engine import distributed

    with distributed.joined():
        try:
            run(options)
        except distributed.RankLostError as error:
            stopping.ending()  # torchrun now sends SIGTERM to all that are left
            lost = _lost()
            if lost is None:
                raise SystemExit(1) from None
            _record(lost)
            raise lost from error
        except BaseException as error:
            stopping.ending()
            if not _first():
                raise SystemExit(stopping.AGAIN if isinstance(error, StoppedError) else 1) from None
            if isinstance(error, StoppedError):
                say(error.sentence)
            if not isinstance(error, UserError):
                raise
            told = _with_rank(error)
            _record(told)
            raise told from error


def _first() -> bool:
    """Notes that this rank fails; whether none did before, which is also assumed where the notes are gone."""
    from distillery.engine import distributed

    try:
        return int(distributed.notes().add(distributed.FAILED, 1)) == 1
    except RuntimeError:
        return True


def _with_rank(error: UserError) -> UserError:
    from distillery.engine import distributed

    who = f"rank {distributed.rank()} of {distributed.world()}"
    place = ", ".join(part for part in (error.place, who) if part)
    return UserError(error.problem, file=error.file, place=place, remedy=error.remedy)


def _lost() -> UserError | None:
    """What to say of ranks that ended; None where another rank says it, or those told why themselves."""
    from distillery.engine import distributed

    silent, others = "another rank", [index for index in range(distributed.world()) if index != distributed.rank()]
    try:
        notes, until = distributed.notes(), time.monotonic() + _LISTENED
        notes.set(f"here/{distributed.rank()}", "")
        missing = others
        while not notes.check([distributed.FAILED]) and time.monotonic() < until:
            missing = [index for index in others if not notes.check([f"here/{index}"])]
            if len(missing) < 2:
                break
            time.sleep(0.1)
        if notes.check([distributed.FAILED]):
            return None
        if missing:
            silent = ("rank " if len(missing) == 1 else "ranks ") + ", ".join(map(str, missing))
    except RuntimeError:  # the notes are gone with the launcher
        pass
    if not _first():
        return None
    return UserError(
        f"{silent} of {distributed.world()} ended without a word, or did not answer in time (killed, out of memory, or "
        "its node is gone)",
        remedy="run the same command again: it goes on from the state saved last",
    )


def _record(error: UserError) -> None:
    """Hands the sentence to torchrun, whose report then shows it, in the form of torch's own `ErrorHandler`."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file:
        extra = {"py_callstack": str(error), "timestamp": str(int(time.time()))}
        with suppress(OSError):
            Path(file).write_text(json.dumps({"message": {"message": str(error), "extraInfo": extra}}))
