"""Crops of a training set built a second, and pairs read from them, beside pysot's crop511 pipeline, one process each.

    python benchmarks/crop_shards.py --pysot CLONE [--size 1280x720] [--shares 0.1-0.75,0.1,0.3,0.6]

A synthetic set in VID's layout is written to a temporary folder: snippets with one and with two objects in turn, whose
size (root of the area) is a share of the frame's; 0.1 to 0.75 is what the curation of SiamFC's training set accepted.
pysot's `par_crop.py` writes its files and `TrkDataset` reads them; here shards are built and read. Both read the same
XML and JPEG, make crops of 511 pixels at equal JPEG quality, and draw, augment, label and collate pairs with pysot's
settings. Each candidate runs in a process of its own, on files that were read before.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness import arguments, begin, interleaved, pysot_config, ratio, table
from torch.utils.data import default_collate

from distillery import datasets
from distillery.config.pairs import Pairs, Shards, Source
from distillery.config.shards import ShardJob, shard_job
from distillery.config.siamrpn import RPNLabels, SiamRPNGeometry
from distillery.engine.randomness import numpy_generator
from distillery.tracking.crop_shards import build_shards
from distillery.tracking.rpn_labels import Assigner
from distillery.tracking.shard_pairs import ShardSampler

SIDE = 511
PART = "ILSVRC2015_VID_train_0000"
PAIRS = Pairs(
    epoch=10**6,
    shift=64,
    stretch=0.18,
    aspect=True,
    blur=0.2,
    jitter=1.0,
    negative=0.05,
    sources=(Source(name="vid"),),
    shards=Shards(side=SIDE),
)
"""pysot's settings."""
_state: dict[str, Any] = {}


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "", peers=("pysot",))
    parser.add_argument("--size", default="1280x720", help="of the frames (default: 1280x720, VID's most frequent)")
    parser.add_argument("--shares", default="0.1-0.75,0.1,0.3,0.6", help="of the frame that an object takes, by scene")
    parser.add_argument("--videos", type=int, default=4, help="snippets (default: 4)")
    parser.add_argument("--frames", type=int, default=30, help="frames of each (default: 30)")
    parser.add_argument("--objects", default="1,2", help="in a frame, by snippet in turn (default: 1,2)")
    parser.add_argument("--batch", type=int, default=32, help="pairs in a batch (default: 32)")
    options = parser.parse_args()
    if not options.pysot:
        parser.error("nothing to compare with: give a clone of pysot")
    begin(options)
    width, height = (int(side) for side in options.size.split("x"))
    built, read = [], []
    for share in options.shares.split(","):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            root = Path(folder)
            low, _, high = share.partition("-")
            crops = write_set(root / "vid", options, (width, height), (float(low), float(high or low)))
            name, rows = measure(root, options, stack, crops)
            built.append([f"objects of {share}", *rows[0]])
            read.append([f"objects of {share}", *rows[1]])
    frames = options.videos * options.frames
    print(f"{frames} frames of {width}x{height} pixels, crops of {SIDE} pixels, batches of {options.batch}.\n")
    print(table(["crops/s of a core", name, "distillery", "times the peer", "kB a crop", "distillery, kB"], built))
    print(table(["pairs/s of a core", name, "distillery", "times the peer"], read))


def measure(root: Path, options: Any, stack: ExitStack, crops: int) -> tuple[str, list[list[str]]]:
    """Name of the peer, and the two rows of a scene."""
    peer, ours = (
        stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=quiet)) for _ in "ab"
    )
    commit = peer.submit(prepare_peer, options.pysot, root).result()
    ours.submit(prepare_ours, root).result()
    building = {
        "pysot": lambda: peer.submit(build_peer).result(),
        "distillery": lambda: ours.submit(build_ours).result(),
    }
    seconds = interleaved(building, options.rounds)
    rates = [f"{crops / statistics.median(taken):.0f}" for taken in seconds.values()]
    sizes = [weight(root / "crop511", ".x.jpg") / crops / 1e3, weight(root / "shards", "") / crops / 1e3]
    first = [*rates, f"{ratio(seconds['pysot'], seconds['distillery']):.1f}", *(f"{size:.1f}" for size in sizes)]
    peer.submit(open_peer, root).result()
    ours.submit(open_ours, root).result()
    reading = {
        "pysot": lambda: peer.submit(batch_peer, options.batch).result(),
        "distillery": lambda: ours.submit(batch_ours, options.batch).result(),
    }
    seconds = interleaved(reading, 3 * options.rounds, warm=3)
    rates = [f"{options.batch / statistics.median(taken):.0f}" for taken in seconds.values()]
    return f"pysot {commit}", [first, [*rates, f"{ratio(seconds['pysot'], seconds['distillery']):.1f}"]]


def quiet() -> None:
    """In a worker: one thread, nothing printed."""
    cv2.setNumThreads(1)
    sys.path.insert(0, str(Path(__file__).parent))


def prepare_peer(clone: str, root: Path) -> str:
    """Loads pysot's script for VID and points it at the set."""
    config, commit = pysot_config(clone)
    path = Path(clone) / "training_dataset/vid/par_crop.py"
    spec = importlib.util.spec_from_file_location("par_crop", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ann_base_path = str(root / "vid/Annotations/VID/train/")
    _state.update(module=module, config=config, root=root)
    return commit


def build_peer() -> None:
    """All videos, as its `main` does in every process of its pool."""
    root = _state["root"]
    shutil.rmtree(root / "crop511", ignore_errors=True)
    for video in sorted(os.listdir(root / "vid/Annotations/VID/train" / PART)):
        _state["module"].crop_video(PART, video, str(root / "crop511"), SIDE)


def prepare_ours(root: Path) -> None:
    """Links, checks and lists the set."""
    _state["root"] = root
    asked = json.dumps({"source": "local", "root": str(root / "vid")})
    datasets.make("vid", asked, root / "data/vid.json")


def build_ours() -> None:
    """The shards of the set."""
    root = _state["root"]
    shutil.rmtree(root / "shards", ignore_errors=True)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere), redirect_stdout(nowhere):
        build_shards(job(), [root / "data/vid.json"], root / "shards")


def job() -> ShardJob:
    """Of SiamRPN."""
    geometry = SiamRPNGeometry()
    return shard_job(PAIRS, geometry.exemplar, geometry.train_search, geometry.context)


def open_peer(root: Path) -> None:
    """pysot's data set over the crops that its script wrote."""
    config = _state["config"]
    places = {"ROOT": str(root / "crop511"), "ANNO": str(root / "train.json"), "FRAME_RANGE": 100, "NUM_USE": 1000}
    config.merge({"TRAIN": {"SEARCH_SIZE": 255, "OUTPUT_SIZE": 17, "BASE_SIZE": 0, "EPOCH": 1}})
    config.merge({"DATASET": {"NAMES": ["VID"], "VID": places, "VIDEOS_PER_EPOCH": 4000, "NEG": 0.05}})
    config.merge({"DATASET": {"SEARCH": {"BLUR": 0.2}}})
    np.random.seed(0)
    _state.update(dataset=importlib.import_module("pysot.datasets.dataset").TrkDataset(), indices=itertools.count())


def batch_peer(size: int) -> None:
    """The next pairs of pysot."""
    dataset, indices = _state["dataset"], _state["indices"]
    default_collate([dataset[next(indices) % len(dataset)] for _ in range(size)])


def open_ours(root: Path) -> None:
    """Our pairs over the shards."""
    sampler = ShardSampler(root / "shards.json", PAIRS, SiamRPNGeometry(), 0)
    _state.update(sampler=sampler, assigner=Assigner(SiamRPNGeometry(), RPNLabels()), steps=itertools.count())


def batch_ours(size: int) -> None:
    """Our next pairs."""
    step = next(_state["steps"])
    batch = _state["sampler"].batch(step, size)
    _state["assigner"](batch.box.numpy(), batch.positive.numpy(), numpy_generator(0, "anchors", step))


def weight(folder: Path, ending: str) -> int:
    """Bytes of the files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob(f"*{ending}") if file.is_file())


def write_set(root: Path, options: Any, size: tuple[int, int], shares: tuple[float, float]) -> int:
    """The synthetic set, and pysot's index of it beside it; the number of objects in all frames."""
    width, height = size
    many = [int(objects) for objects in options.objects.split(",")]
    index: dict[str, Any] = {}
    count = 0
    for number in range(options.videos):
        noise = np.random.default_rng(number)
        coarse = noise.integers(0, 256, (height // 24, width // 24, 3), dtype=np.uint8)
        ground = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        grain = noise.integers(0, 10, (height, width, 3), dtype=np.uint8)
        name = f"ILSVRC2015_train_{number:08d}"
        tracks = index.setdefault(f"{PART}/{name}", {})
        folders = [root / kind / "VID/train" / PART / name for kind in ("Data", "Annotations")]
        for folder in folders:
            folder.mkdir(parents=True)
        for frame in range(options.frames):
            image = cv2.add(np.roll(ground, 5 * frame, axis=1), grain)
            cv2.imwrite(str(folders[0] / f"{frame:06d}.JPEG"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
            objects = [_corners(noise, size, shares) for _ in range(many[number % len(many)])]
            count += len(objects)
            (folders[1] / f"{frame:06d}.xml").write_text(_annotation(objects, size, frame))
            for track, corners in enumerate(objects):
                tracks.setdefault(f"{track:02d}", {})[f"{frame:06d}"] = corners
    (root.parent / "train.json").write_text(json.dumps(index))
    return count


def _corners(noise: np.random.Generator, size: tuple[int, int], shares: tuple[float, float]) -> list[int]:
    """A box wholly in the frame, of aspect 2/3 to 3/2 as far as the frame allows."""
    area = noise.uniform(*shares) ** 2 * size[0] * size[1]
    aspect = np.exp(noise.uniform(np.log(2 / 3), np.log(3 / 2)))
    wide = min(np.sqrt(area * aspect), 0.95 * size[0])
    high = min(area / wide, 0.95 * size[1])
    x, y = (noise.uniform(1, end - side - 1) for end, side in zip(size, (wide, high), strict=True))
    return [int(x), int(y), int(x + wide), int(y + high)]


def _annotation(objects: list[list[int]], size: tuple[int, int], frame: int) -> str:
    parts = [
        f"<object><trackid>{track}</trackid><name>n02084071</name><bndbox><xmax>{x2}</xmax><xmin>{x1}</xmin>"
        f"<ymax>{y2}</ymax><ymin>{y1}</ymin></bndbox><occluded>0</occluded><generated>0</generated></object>"
        for track, (x1, y1, x2, y2) in enumerate(objects)
    ]
    head = f"<folder>a</folder><filename>{frame:06d}</filename><source><database>ILSVRC_2015</database></source>"
    return (
        f"<annotation>{head}<size><width>{size[0]}</width><height>{size[1]}</height></size>{''.join(parts)}"
        "</annotation>\n"
    )


if __name__ == "__main__":
    main()
