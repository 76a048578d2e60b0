from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from distillery.engine.randomness import derive, numpy_generator, seed_torch, torch_generator

NAMES = st.lists(st.one_of(st.integers(0, 10**6), st.text("abc/", max_size=4)), max_size=3)


def test_the_derivation_is_a_hash_of_the_path() -> None:
    digest = hashlib.sha256(b"7/pair/3").digest()
    assert derive(7, "pair", 3) == int.from_bytes(digest[:8], "big") // 2


@given(st.integers(0, 2**31), NAMES)
def test_seeds_fit_every_library(seed: int, names: list[int | str]) -> None:
    value = derive(seed, *names)
    assert 0 <= value < 2**63
    assert value == derive(seed, *names)


def test_streams_differ_by_seed_name_and_step() -> None:
    streams = {derive(seed, name, step) for seed in range(10) for name in ("a", "b") for step in range(50)}
    assert len(streams) == 10 * 2 * 50


def test_a_stream_does_not_depend_on_the_process_or_on_what_was_drawn_before() -> None:
    numpy_generator(0, "x").random(1000)
    ours = numpy_generator(0, "x").random()
    code = "from distillery.engine.randomness import numpy_generator as g; print(g(0, 'x').random())"
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(theirs) == ours


def test_streams_are_independent_of_each_other() -> None:
    draws = np.array([numpy_generator(0, "pair", index).random() for index in range(4000)])
    assert abs(draws.mean() - 0.5) < 4 / np.sqrt(12 * 4000)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / np.sqrt(4000)


def test_torch_generators() -> None:
    first, second = (torch.rand(3, generator=torch_generator(1, "w")) for _ in range(2))
    assert first.tolist() == second.tolist()
    seed_torch(1, "w")
    assert torch.rand(3).tolist() == first.tolist()
    assert torch.rand(3, generator=torch_generator(2, "w")).tolist() != first.tolist()
