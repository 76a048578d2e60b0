"""Several processes that train one job together: who they are, and what they tell each other.

torchrun starts them. Alone, as a command usually is, every function here is the identity. What each process, a rank,
computes is its share of one and the same batch; the ranks stay equal to the last bit, because all take every update
from the same sums, gathered in the order of ranks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from distillery.errors import UserError

TIMEOUT = "DISTILLERY_RANK_TIMEOUT"
"""Variable with the seconds for which a rank waits for the others; 600 without it."""


FAILED = "failed"
"""Note of the first rank that ends with an error."""


class RankLostError(Exception):
    """Another rank ended, or did not answer in time, while this one waited for it."""


@dataclass(frozen=True)
class _Ranks:
    rank: int
    world: int
    store: Store
    """Where they found each other; torchrun keeps it, not rank 0."""
    notes: Store
    """A part of it for notes between ranks, which need no rank to answer."""


_joined: _Ranks | None = None


@contextmanager
def joined() -> Iterator[None]:
    """Joins the ranks of the environment, as far as their notes; `connect` follows.

    Raises:
        UserError: If the others cannot be reached.
    """
    global _joined
    with _reaching():
        store, rank, world = next(rendezvous("env://", timeout=_patience()))
    _joined = _Ranks(rank, world, store, PrefixStore("distillery", store))
    try:
        yield
        if dist.is_initialized():
            dist.destroy_process_group()  # after an error it might wait for ranks that are gone
    finally:
        _joined = None


def connect(*, gpus: bool = False) -> None:
    """Opens the ways between the ranks, once: NCCL between GPUs, gloo between processors, and for counts of GPU jobs.

    Without a call the first message opens those between processors. Before it, every process has chosen its GPU.

    Raises:
        UserError: If the others cannot be reached.
        RankLostError: If another one has failed meanwhile.
    """
    if _joined is not None and not dist.is_initialized():
        with _reaching():
            _gather(_joined)
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if gpus else "gloo",
                store=_joined.store,
                rank=_joined.rank,
                world_size=_joined.world,
                timeout=_patience(),
            )


def _gather(ranks: _Ranks) -> None:
    """Waits until all are here; unlike in torch's own waiting, a rank that failed, or a signal, ends it at once."""
    ranks.notes.set(f"ready/{ranks.rank}", "")
    until = time.monotonic() + _patience().total_seconds()
    while not ranks.notes.check([f"ready/{index}" for index in range(ranks.world)]):
        if ranks.notes.check([FAILED]):
            raise RankLostError("another rank has failed")
        if time.monotonic() > until:
            raise RuntimeError("they have not started in time")
        time.sleep(0.02)


def _patience() -> timedelta:
    return timedelta(seconds=float(os.environ.get(TIMEOUT, 600)))


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:  # torch's own errors of stores and back ends are RuntimeErrors
        raise UserError(
            f"cannot reach the other processes of the job ({_first_line(error)})",
            place=f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
            remedy="check the address and port given to torchrun, and that all nodes were started",
        ) from error


def rank() -> int:
    """This process among those of the job, from 0."""
    return _joined.rank if _joined else 0


def world() -> int:
    """How many processes train the job."""
    return _joined.world if _joined else 1


def first() -> bool:
    """Whether this process writes the files and speaks for all."""
    return rank() == 0


def notes() -> Store:
    """Notes between the ranks, for what cannot wait for a rank's answer."""
    assert _joined is not None
    return _joined.notes


def share(count: int) -> slice:
    """The rows of a batch of `count` that are this rank's; together the ranks have every row once, in their order.

    Raises:
        UserError: If there are fewer rows than ranks.
    """
    if count < world():
        raise UserError(
            f"a batch of {count} cannot be shared among {world()} processes",
            place="optimisation.batch",
            remedy="start fewer processes or raise the batch",
        )
    return slice(rank() * count // world(), (rank() + 1) * count // world())


def totals(counts: Sequence[int]) -> list[int]:
    """The sum of each count over the ranks."""
    return _reduced(counts, dist.ReduceOp.SUM)


def largest(values: Sequence[int]) -> list[int]:
    """The largest of each number over the ranks."""
    return _reduced(values, dist.ReduceOp.MAX)


def anyone(asked: bool) -> bool:
    """Whether it holds for one rank at least."""
    return largest([int(asked)]) == [1]


def _reduced(values: Sequence[int], how: Any) -> list[int]:
    if _joined is None:
        return list(values)
    numbers = torch.tensor(list(values), dtype=torch.int64)
    with _waiting():
        dist.all_reduce(numbers, how)
    return [int(number) for number in numbers]


def add(tensor: Tensor) -> None:
    """Sums a tensor over the ranks, in place; all get the same bits."""
    if _joined is not None:
        with _waiting():
            dist.all_reduce(tensor)


def stacked(tensor: Tensor) -> Tensor:
    """The ranks' tensors of one shape, (ranks, ...), in the order of ranks."""
    if _joined is None:
        return tensor[None]
    parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(_joined.world)]
    with _waiting():
        dist.all_gather(parts, tensor.contiguous())
    return torch.stack(parts)


def gathered(tensor: Tensor) -> Tensor:
    """The rows (N_r, ...) of every rank, (sum of N_r, ...), in the order of ranks; without gradient."""
    if _joined is None:
        return tensor
    counts = stacked(torch.tensor(len(tensor))).tolist()
    padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
    padded[: len(tensor)] = tensor.detach()
    return torch.cat([rows[:count] for rows, count in zip(stacked(padded), counts, strict=True)])


def mean(values: Tensor) -> Tensor:
    """Mean of values (N_r,) over all ranks; between ranks it has no gradient."""
    return values.mean() if _joined is None else gathered(values).mean()


def told(message: bytes) -> bytes:
    """The first rank's message, at every rank; what the others pass does not matter."""
    if _joined is None:
        return message
    (length,) = largest([len(message) if first() else 0])
    data = torch.frombuffer(bytearray(message if first() else length), dtype=torch.uint8) if length else torch.empty(0)
    with _waiting():
        dist.broadcast(data, 0)
    return data.numpy().tobytes()


def agree(value: str, problem: str, remedy: str) -> None:
    """Makes sure that all ranks have the same value.

    Raises:
        UserError: At every rank, if one differs from the first.
    """
    if _joined is None:
        return
    answers = [told(value.encode()) == value.encode()]
    differing = [index for index, same in enumerate(stacked(torch.tensor(answers)).flatten().tolist()) if not same]
    if differing:
        raise UserError(f"rank {differing[0]} {problem} than rank 0", remedy=remedy)


@contextmanager
def _waiting() -> Iterator[None]:
    """Tells a lost rank from other errors."""
    connect()
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
