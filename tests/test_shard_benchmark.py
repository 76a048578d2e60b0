"""`benchmarks/crop_shards.py` at toy size, without the peer: it builds and reads what it counts."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_our_half_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import crop_shards

    count = crop_shards.write_set(tmp_path / "vid", Namespace(videos=2, frames=3, objects="1,2"), (160, 96), (0.2, 0.6))
    assert count == 3 + 6
    index = json.loads((tmp_path / "train.json").read_text())
    assert [len(tracks) for tracks in index.values()] == [1, 2]
    crop_shards.prepare_ours(tmp_path)
    crop_shards.build_ours()
    told = json.loads((tmp_path / "shards.json").read_text())
    assert told["sets"]["vid"]["counts"]["crops"] == count
    assert told["job"]["outer"] == crop_shards.SIDE
    assert crop_shards.weight(tmp_path / "shards", ".jpegs") == told["sets"]["vid"]["counts"]["bytes"]
    crop_shards.open_ours(tmp_path)
    for _ in range(2):
        crop_shards.batch_ours(3)
