"""Training pairs a second beside siamfc-pytorch (from frames) and pysot (from cached crops), one process each.

    python benchmarks/training_pairs.py --siamfc-pytorch CLONE --got10k CLONE --pysot CLONE [--size 352x288]

Synthetic clips are written as JPEG to a temporary folder, for pysot with the 511-pixel crops that its scripts make.
Everyone draws, augments and collates batches of the same size with the published settings; for SiamRPN the anchors'
labels count too. "New frames" decodes every frame anew, as one does who never meets a frame twice; "kept" has met
every frame before, as in all epochs but the first while the crops fit into memory. Our frames, kept or not, come from
files of the same size as the peers'.
"""

from __future__ import annotations

import importlib
import itertools
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness import add_clone, arguments, begin, interleaved, pysot_config, ratio, table
from torch.utils.data import default_collate

from distillery.config.pairs import Pairs
from distillery.config.siamfc import SiamFCGeometry
from distillery.config.siamrpn import RPNLabels, SiamRPNGeometry
from distillery.data.images import read_image
from distillery.engine.randomness import numpy_generator
from distillery.tracking import pairs as sampling
from distillery.tracking.benchmarks.base import Sequence
from distillery.tracking.boxes import to_pixels, xywh_to_centre
from distillery.tracking.crops import context_side, crop, mean_colour
from distillery.tracking.pairs import PairBatch, PairSampler
from distillery.tracking.rpn_labels import Assigner

CLIPS, FRAMES = 8, 12
SIAMRPN = Pairs(epoch=10**6, shift=64, stretch=0.18, aspect=True, blur=0.2, jitter=1.0, negative=0.05)
"""pysot's settings."""


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "", peers=("siamfc-pytorch", "got10k", "pysot"))
    parser.add_argument("--size", default="352x288", help="of the frames (default: 352x288, as OTB's)")
    parser.add_argument("--batch", type=int, default=32, help="pairs in a batch (default: 32)")
    options = parser.parse_args()
    given = vars(options)
    if not given["pysot"] and not (given["siamfc-pytorch"] and given["got10k"]):
        parser.error("nothing to compare with: give a clone of a peer (siamfc-pytorch needs got10k)")
    begin(options)
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        clips = [write_clip(Path(folder) / f"{index:02d}", width, height, index) for index in range(CLIPS)]
        print(f"{CLIPS} clips of {FRAMES} frames of {width}x{height} pixels, batches of {options.batch}.\n")
        if given["siamfc-pytorch"] and given["got10k"]:
            name, peer = siamfc_peer(given["siamfc-pytorch"], given["got10k"], clips, options.batch)
            ours = candidates(clips, Pairs(epoch=10**6), SiamFCGeometry(), options.batch)
            report("SiamFC", {name: peer, **ours}, options)
        if given["pysot"]:
            name, peer = pysot_peer(given["pysot"], clips, options.batch, Path(folder) / "crops")
            ours = candidates(
                clips, SIAMRPN, SiamRPNGeometry(), options.batch, Assigner(SiamRPNGeometry(), RPNLabels())
            )
            report("SiamRPN", {name: peer, **ours}, options)


def report(title: str, calls: dict[str, Callable[[], Any]], options: Any) -> None:
    """Times and prints; the first candidate is the peer."""
    first = next(iter(calls))
    seconds = interleaved(calls, options.rounds)
    rows = []
    for name, taken in seconds.items():
        rate = options.batch / statistics.median(taken)
        rows.append([name, f"{rate:.0f}", f"{ratio(seconds[first], taken):.1f}"])
    print(table([title, "pairs/s", "times the peer"], rows))


def candidates(
    clips: list[Sequence], pairs: Pairs, geometry: Any, size: int, assigner: Assigner | None = None
) -> dict[str, Callable[[], Any]]:
    """Our sampler without and with kept crops."""
    made = {}
    for name, room in (("new frames", 0), ("kept", sampling.CACHE_BYTES)):
        sampler = PairSampler(clips, pairs, geometry, 0)
        steps = itertools.count()

        def batch(sampler: PairSampler = sampler, steps: Any = steps, room: int = room) -> PairBatch:
            sampling.CACHE_BYTES = room
            step = next(steps)
            made = sampler.batch(step, size)
            if assigner is not None:
                assigner(made.box.numpy(), made.positive.numpy(), numpy_generator(0, "anchors", step))
            return made

        if room:
            for clip in range(len(sampler.clips)):
                for frame in range(FRAMES):
                    sampler._wide(clip, frame)
        made[f"distillery, {name}"] = batch
    return made


def siamfc_peer(clone: str, toolkit: str, clips: list[Sequence], size: int) -> tuple[str, Callable[[], Any]]:
    """siamfc-pytorch's `Pair` with its transforms."""
    add_clone(toolkit)
    commit = add_clone(clone)
    pairs = importlib.import_module("siamfc.datasets").Pair
    transforms = importlib.import_module("siamfc.transforms").SiamFCTransforms
    dataset = pairs([([str(file) for file in clip.frames], clip.truth) for clip in clips], transforms())
    np.random.seed(0)
    indices = itertools.count()
    return f"siamfc-pytorch {commit}", lambda: default_collate(
        [dataset[next(indices) % len(dataset)] for _ in range(size)]
    )


def pysot_peer(clone: str, clips: list[Sequence], size: int, folder: Path) -> tuple[str, Callable[[], Any]]:
    """pysot's `TrkDataset` on crops as its `par_crop.py` writes them."""
    config, commit = pysot_config(clone)
    write_crops(clips, folder)
    root = {"ROOT": str(folder), "ANNO": str(folder / "train.json"), "FRAME_RANGE": 100, "NUM_USE": 1000}
    config.merge({"TRAIN": {"SEARCH_SIZE": 255, "OUTPUT_SIZE": 17, "BASE_SIZE": 0, "EPOCH": 1}})
    config.merge({"DATASET": {"NAMES": ["VID"], "VID": root, "VIDEOS_PER_EPOCH": 4000, "NEG": 0.05}})
    config.merge({"DATASET": {"SEARCH": {"BLUR": 0.2}}})
    np.random.seed(0)
    dataset = importlib.import_module("pysot.datasets.dataset").TrkDataset()
    indices = itertools.count()
    return f"pysot {commit}", lambda: default_collate([dataset[next(indices) % len(dataset)] for _ in range(size)])


def write_clip(folder: Path, width: int, height: int, seed: int) -> Sequence:
    """A clip of textured frames; the target takes a fifth of the height."""
    noise = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    coarse = noise.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = noise.integers(0, 24, (height, width, 3), dtype=np.uint8)
    frames, truth = [], []
    for frame in range(FRAMES):
        image = cv2.add(np.roll(ground, 5 * frame, axis=1), grain)
        frames.append(folder / f"{frame + 1:08d}.jpg")
        cv2.imwrite(str(frames[-1]), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        side = height / 5
        truth.append([*noise.uniform(side, [width - 2 * side, height - 2 * side]), side, 1.3 * side])
    return Sequence(
        name=folder.name, frames=tuple(frames), truth=np.array(truth), truth_file=folder / "groundtruth.txt"
    )


def write_crops(clips: list[Sequence], folder: Path) -> None:
    """Crops of 511 pixels and pysot's index of them."""
    index: dict[str, Any] = {}
    for clip in clips:
        boxes = index.setdefault(clip.name, {}).setdefault("00", {})
        (folder / clip.name).mkdir(parents=True)
        for frame, file in enumerate(clip.frames):
            image = read_image(file)
            x, y, width, height = (float(value) for value in xywh_to_centre(to_pixels(clip.truth[frame])))
            side = context_side(width, height, 0.5) * 511 / 127
            made = crop(image, (x, y), side, 511, mean_colour(image))
            cv2.imwrite(str(folder / clip.name / f"{frame:06d}.00.x.jpg"), made[..., ::-1])
            boxes[f"{frame:06d}"] = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    (folder / "train.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
