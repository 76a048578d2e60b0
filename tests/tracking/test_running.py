from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.config.siamrpn import RPNInference, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.tracking import TrackJob
from distillery.config.training import Compute
from distillery.engine import checkpoint as checkpoints
from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.tracking import siamrpn
from distillery.tracking.families import FAMILIES
from distillery.tracking.running import PUBLISHED, track, track_all
from distillery.tracking.siamfc import SiamFC

JOB = TrackJob(compute=Compute(device="cpu"), inference=SiamFCInference(scales=1))
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
    still = TrackJob(compute=Compute(device="cpu"), inference=SiamFCInference(scales=1, window=1.0))
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


@pytest.fixture
def everywhere(tmp_path: Path, root: Path) -> dict[str, tuple[Path, Path]]:
    """The same two clips in the layouts of four benchmarks, and where their results go."""
    vot, got10k, tracking_net = tmp_path / "vot", tmp_path / "got", tmp_path / "tn" / "TEST"
    for name in ("First001", "Second002"):
        boxes = (root / name / "groundtruth_rect.txt").read_text()
        corners = [box.split(",") for box in boxes.split()]
        shutil.copytree(root / name / "img", vot / name / "color")
        polygons = [
            [x - 1, y - 1, x + w - 2, y - 1, x + w - 2, y + h - 2, x - 1, y + h - 2]
            for x, y, w, h in (map(int, row) for row in corners)
        ]
        (vot / name / "groundtruth.txt").write_text("".join(",".join(map(str, row)) + "\n" for row in polygons))
        shutil.copytree(root / name / "img", got10k / "val" / name)
        (got10k / "val" / name / "groundtruth.txt").write_text(boxes)
        (got10k / "val" / name / "absence.label").write_text("0\n" * 8)
        (got10k / "val" / name / "cover.label").write_text("8\n" * 8)
        frames = tracking_net / "frames" / name
        frames.mkdir(parents=True)
        for number, image in enumerate(sorted((root / name / "img").iterdir())):
            shutil.copy(image, frames / f"{number}.jpg")
        (tracking_net / "anno").mkdir(exist_ok=True)
        (tracking_net / "anno" / f"{name}.txt").write_text(boxes.split()[0])
    for folder in (vot, got10k / "val"):
        (folder / "list.txt").write_text("First001\nSecond002\n")
    roots = {"otb100": root, "vot2019": vot, "got10k": got10k, "trackingnet_test": tracking_net.parent}
    return {name: (folder, tmp_path / "out" / name) for name, folder in roots.items()}


def test_one_tracker_over_several_benchmarks(
    tmp_path: Path, everywhere: dict[str, tuple[Path, Path]], net: Path
) -> None:
    indices = track_all(everywhere, JOB, checkpoint=net, repetitions=2)
    assert list(indices) == list(everywhere)
    out = tmp_path / "out"
    files = sorted(file.relative_to(out).as_posix() for file in out.rglob("First001*.txt"))
    assert files == [
        "got10k/First001/First001_001.txt",
        "got10k/First001/First001_002.txt",
        "otb100/First001.txt",
        "trackingnet_test/First001.txt",
        "vot2019/baseline/First001/First001_001.txt",
        "vot2019/baseline/First001/First001_002.txt",
    ]
    assert all(index["deterministic"] for index in indices.values())
    assert {name: index["repetitions"] for name, index in indices.items()} == {
        "otb100": 1,
        "vot2019": 2,
        "got10k": 2,
        "trackingnet_test": 1,
    }
    assert all((out / f"{name}.json").is_file() for name in everywhere)
    rows = (out / "vot2019" / "baseline" / "First001" / "First001_001.txt").read_text().split()
    assert (len(rows), rows[0]) == (8, "1")


def test_nothing_is_run_when_one_benchmark_cannot_be_read(
    tmp_path: Path, everywhere: dict[str, tuple[Path, Path]]
) -> None:
    (everywhere["vot2019"][0] / "First001" / "groundtruth.txt").write_text("1,2,3\n")
    with pytest.raises(UserError, match=r"First001/groundtruth\.txt, line 1"):
        track_all(everywhere, JOB, baseline="static")
    assert not (tmp_path / "out").exists()


def test_the_kind_of_the_checkpoint_chooses_the_tracker(tmp_path: Path, root: Path, net: Path) -> None:
    architecture = SiamRPNArchitecture(layout="compact", width=0.03)
    geometry = SiamRPNGeometry(exemplar=63, search=135, small_search=143, train_search=127, stride=4, anchor_scale=4)
    network = siamrpn.build(architecture, geometry)
    path = tmp_path / "rpn" / "seed0.safetensors"
    checkpoints.save(path, network, network.sidecar())
    plain = TrackJob(compute=Compute(device="cpu"))
    index = track("otb100", root, tmp_path / "a", plain, checkpoint=path)
    assert index["tracker"]["inference"] == RPNInference().model_dump(mode="json")
    with pytest.raises(UserError, match=r"seed0\.safetensors: is a siamrpn tracker, .* SiamFCInference; pass"):
        track("otb100", root, tmp_path / "b", JOB, checkpoint=path)
    sidecar = json.loads(net.with_suffix(".json").read_text())
    net.with_suffix(".json").write_text(json.dumps(sidecar | {"kind": "kcf"}))
    with pytest.raises(UserError, match="of kind 'kcf', not 'siamfc' or 'siamrpn' or 'siamrpnpp'"):
        track("otb100", root, tmp_path / "b", plain, checkpoint=net)


def test_published_settings() -> None:
    """Values of the reference repositories' configs, as the table of `RPNInference` lists them."""
    chosen = {name: PUBLISHED[name] for name in ("siamrpn", "siamrpnpp")}
    assert {name: (one.window, one.penalty, one.rate, one.adaptive) for name, one in chosen.items()} == {
        "siamrpn": (0.42, 0.055, 0.295, True),
        "siamrpnpp": (0.42, 0.05, 0.38, False),
    }
    assert PUBLISHED.keys() == FAMILIES.keys()


def test_faults(tmp_path: Path, root: Path, net: Path) -> None:
    with pytest.raises(UserError, match="unknown tracking benchmark 'vot'; choose one of otb100, dtb70, vot2018"):
        track("vot", root, tmp_path / "a", JOB, baseline="static")
    with pytest.raises(UserError, match="unknown baseline 'kcf'; choose one of static, ncc"):
        track("otb100", root, tmp_path / "a", JOB, baseline="kcf")
    with pytest.raises(UserError, match="does not exist; pass the folder"):
        track("otb100", tmp_path / "no", tmp_path / "a", JOB, baseline="static")
    net.write_bytes(net.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"seed7\.safetensors: is truncated"):
        track("otb100", root, tmp_path / "a", JOB, checkpoint=net)
    assert not (tmp_path / "a").exists()
