from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from distillery.config.tracking import SiamFCArchitecture, SiamFCGeometry, TrackerInference, TrackJob
from distillery.config.training import Compute
from distillery.engine import checkpoint as checkpoints
from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.tracking.running import track
from distillery.tracking.siamfc import SiamFC

JOB = TrackJob(compute=Compute(device="cpu"), inference=TrackerInference(scales=1))
WriteOTB = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, write_otb: WriteOTB) -> Path:
    return write_otb(tmp_path / "root")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = SiamFC(SiamFCArchitecture(width=0.03), SiamFCGeometry())
    checkpoints.save(tmp_path / "nets" / "seed7.safetensors", network, network.sidecar())
    return tmp_path / "nets" / "seed7.safetensors"


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("baseline", ["static", "ncc"])
def test_trivial_trackers(tmp_path: Path, root: Path, baseline: str, capsys: pytest.CaptureFixture[str]) -> None:
    index = track("otb100", root, tmp_path / "out" / "seed0", JOB, baseline=baseline)
    assert json.loads((tmp_path / "out" / "seed0.json").read_text()) == index
    assert index["tracker"] == {"tracker": baseline}
    assert sorted(texts(tmp_path / "out" / "seed0")) == ["First001.txt", "Second002.txt"]
    assert f"track otb100 with {baseline}: 16/16 done" in capsys.readouterr().err


def test_a_trained_tracker_is_identified_and_repeatable(tmp_path: Path, root: Path, net: Path) -> None:
    first = track("otb100", root, tmp_path / "a", JOB, checkpoint=net)
    track("otb100", root, tmp_path / "b", JOB, checkpoint=net)
    assert first["tracker"] == {
        "tracker": "seed7",
        "checkpoint": sha256_of_file(net),
        "inference": JOB.inference.model_dump(mode="json"),
    }
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    # The two sequences show the same frames: a tracker that kept anything of the first would answer otherwise.
    rows = texts(tmp_path / "a")
    assert rows["First001.txt"] == rows["Second002.txt"]
    assert np.loadtxt(tmp_path / "a" / "First001.txt", delimiter=",")[0].tolist() == [21, 31, 20, 16]


def test_inference_settings_reach_the_tracker(tmp_path: Path, root: Path, net: Path) -> None:
    still = TrackJob(compute=Compute(device="cpu"), inference=TrackerInference(scales=1, window=1.0))
    track("otb100", root, tmp_path / "a", still, checkpoint=net)
    boxes = np.loadtxt(tmp_path / "a" / "First001.txt", delimiter=",")
    # Window alone: the box stays but for the tie between the middle two of an even number of positions.
    assert np.abs(np.diff(boxes[:, :2], axis=0)).max() < 0.2
    assert (boxes[:, 2:] == boxes[0, 2:]).all()


def test_partial_data(tmp_path: Path, root: Path) -> None:
    (root / "Second002" / "groundtruth_rect.txt").unlink()
    with pytest.raises(UserError, match=r"Second002 of OTB-100's 2 sequences are not there; .*--allow-partial"):
        track("otb100", root, tmp_path / "a", JOB, baseline="static")
    assert not (tmp_path / "a").exists()
    index = track("otb100", root, tmp_path / "a", JOB, baseline="static", allow_partial=True)
    assert list(index["sequences"]) == ["First001"]


def test_faults(tmp_path: Path, root: Path, net: Path) -> None:
    with pytest.raises(UserError, match="unknown tracking benchmark 'vot'; choose otb100"):
        track("vot", root, tmp_path / "a", JOB, baseline="static")
    with pytest.raises(UserError, match="unknown baseline 'kcf'; choose one of static, ncc"):
        track("otb100", root, tmp_path / "a", JOB, baseline="kcf")
    with pytest.raises(UserError, match="does not exist; pass the folder"):
        track("otb100", tmp_path / "no", tmp_path / "a", JOB, baseline="static")
    net.write_bytes(net.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"seed7\.safetensors: is truncated"):
        track("otb100", root, tmp_path / "a", JOB, checkpoint=net)
    assert not (tmp_path / "a").exists()
