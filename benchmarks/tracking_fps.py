"""Frames a second of the SiamFC and SiamRPN trackers beside siamfc-pytorch and pysot, with the same weights.

    python benchmarks/tracking_fps.py --siamfc-pytorch CLONE --got10k CLONE --pysot CLONE [--threads 1] [--frames 12]

One candidate a turn tracks the same frames, decoded before; a rate is frames over seconds, the first frame's
initialisation included. The weights are ours, random, BatchNorm statistics settled, renamed into the peer's network;
it stops where the outputs differ. Boxes are not the same: peers cut crops at whole pixels, and a random network's peaks
are many and nearly equal.
"""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import (
    add_clone,
    arguments,
    begin,
    difference,
    interleaved,
    pysot_config,
    ratio,
    require_parity,
    settle,
    table,
    video,
)

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.engine.cost import milliseconds
from distillery.engine.devices import Device
from distillery.tracking.boxes import from_pixels, iou, to_pixels
from distillery.tracking.siamfc import SiamFC
from distillery.tracking.tracker import SiamFCTracker

CPU = Device(torch.device("cpu"), torch.float32)
Run = Callable[[], list[Any]]


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "", peers=("siamfc-pytorch", "got10k", "pysot"))
    parser.add_argument("--frames", type=int, default=12, help="frames a turn (default: 12)")
    parser.add_argument(
        "--checkpoint", type=Path, help="a trained SiamFC of the published size, instead of random weights"
    )
    options = parser.parse_args()
    given = vars(options)
    if not given["pysot"] and not (given["siamfc-pytorch"] and given["got10k"]):
        parser.error("nothing to compare with: give a clone of a peer (siamfc-pytorch needs got10k)")
    begin(options)
    if given["siamfc-pytorch"] and given["got10k"]:
        siamfc(given["siamfc-pytorch"], given["got10k"], options.checkpoint, options.frames, options.rounds)
    if given["pysot"]:
        pysot(given["pysot"], options.frames, options.rounds)


def siamfc(clone: str, toolkit: str, checkpoint: Path | None, count: int, rounds: int) -> None:
    """SiamFC beside siamfc-pytorch."""
    from distillery.tracking.siamfc import load

    add_clone(toolkit)
    commit = add_clone(clone)
    peer = importlib.import_module("siamfc").TrackerSiamFC()
    network = load(checkpoint) if checkpoint else SiamFC(SiamFCArchitecture(), SiamFCGeometry())
    images, boxes = video(count)
    exemplar, search = _crops(images[0], 127), _crops(images[0], 255)
    if checkpoint is None:
        torch.manual_seed(0)
        settle(network, lambda: network(exemplar, search))
    peer.net.load_state_dict({_siamfc_name(name): value for name, value in network.state_dict().items()})
    peer.net.eval()
    with torch.no_grad():
        ours, theirs = network(exemplar, search)[0], peer.net(exemplar, search)[:, 0]
    require_parity("SiamFC", difference(ours * 1e-3 / network.geometry.response_scale, theirs))

    start = np.array(boxes[0])
    tracker = SiamFCTracker(network, SiamFCInference(), CPU)
    half = SiamFCTracker(network, SiamFCInference(), Device(torch.device("cpu"), torch.bfloat16))

    def run(ours: SiamFCTracker) -> Run:
        def track() -> list[Any]:
            ours.init(images[0], start)
            return [ours.update(image) for image in images[1:]]

        return track

    def run_peer() -> list[Any]:
        peer.init(images[0], from_pixels(start))
        return [to_pixels(peer.update(image)) for image in images[1:]]

    candidates = {
        "distillery": run(tracker),
        f"siamfc-pytorch {commit}": run_peer,
        "distillery, forward in bfloat16": run(half),
    }
    _report(candidates, count, rounds)
    _share(tracker, images)


def pysot(clone: str, count: int, rounds: int) -> None:
    """SiamRPN (half width: pysot's AlexNet) beside pysot: the same network, and its smaller one as shipped."""
    from distillery.config.siamrpn import RPNInference, SiamRPNArchitecture, SiamRPNGeometry
    from distillery.tracking.rpn_tracker import RPNTracker
    from distillery.tracking.siamrpn import SiamRPN

    config, commit = pysot_config(clone)
    settings = {"PENALTY_K": 0.16, "WINDOW_INFLUENCE": 0.40, "LR": 0.30, "INSTANCE_SIZE": 287, "BASE_SIZE": 0}
    config.merge({"TRACK": settings, "BACKBONE": {"TYPE": "alexnetlegacy", "KWARGS": {"width_mult": 1.0}}})
    config.merge({"ADJUST": {"ADJUST": False}, "RPN": {"TYPE": "UPChannelRPN", "KWARGS": {"anchor_num": 5}}})
    config.RPN.KWARGS["feature_in"] = 256
    builder = importlib.import_module("pysot.models.model_builder").ModelBuilder
    wrap = importlib.import_module("pysot.tracker.siamrpn_tracker").SiamRPNTracker
    same = builder().eval()
    config.merge({"RPN": {"TYPE": "DepthwiseRPN"}})
    config.RPN.KWARGS = {"anchor_num": 5, "in_channels": 256, "out_channels": 256}
    shipped = builder().eval()

    torch.manual_seed(0)
    network = SiamRPN(SiamRPNArchitecture(width=0.5), SiamRPNGeometry(search=287))
    images, boxes = video(count)
    exemplar, search = _crops(images[0], 127), _crops(images[0], 287)
    settle(network, lambda: network(exemplar, search))
    settle(shipped, lambda: shipped.rpn_head(shipped.backbone(exemplar), shipped.backbone(search)))
    # Offsets of random networks would blow the boxes up within a few frames.
    with torch.no_grad():
        for last in (network.regress_adjust, shipped.rpn_head.loc.head[-1]):
            last.weight *= 1e-3
            last.bias.zero_()
    same.load_state_dict({_pysot_name(name): value for name, value in network.state_dict().items()})
    with torch.no_grad():
        scores, offsets, _, _ = network(exemplar, search)
        same.template(exemplar)
        theirs = same.track(search)
    require_parity("SiamRPN scores", difference(scores, theirs["cls"]))
    require_parity("SiamRPN boxes", difference(offsets, theirs["loc"]))

    inference = RPNInference(penalty=0.16, window=0.40, rate=0.30, adaptive=False)
    tracker = RPNTracker(network, inference, CPU)
    start = np.array(boxes[0])
    reference, small = wrap(same), wrap(shipped)

    def run_ours() -> list[Any]:
        tracker.init(images[0], start)
        return [tracker.update(image) for image in images[1:]]

    def run(peer: Any) -> Run:
        def track() -> list[Any]:
            peer.init(images[0], start)
            return [np.array(peer.track(image)["bbox"]) for image in images[1:]]

        return track

    candidates = {
        "distillery, SiamRPN": run_ours,
        f"pysot {commit}, the same network": run(reference),
        f"pysot {commit}, alex_dwxcorr as shipped": run(small),
    }
    _report(candidates, count, rounds)
    _share(tracker, images)


def _share(tracker: Any, images: list[Any]) -> None:
    """Prints how much of a frame is not the network: the frame's time when its answer is there already."""
    network = tracker.network
    respond = network.respond
    answers: list[Any] = []

    def keep(*given: Any) -> Any:
        answers.append(respond(*given))
        return answers[-1]

    network.respond = keep
    tracker.update(images[1])
    network.respond = respond
    (whole,) = milliseconds([lambda: tracker.update(images[1])])
    network.respond = lambda *given: answers[-1]
    (rest,) = milliseconds([lambda: tracker.update(images[1])])
    network.respond = respond
    print(f"Of our frame's {whole:.1f} ms, {rest:.2f} ms ({100 * rest / whole:.1f} %) lie outside the network.\n")


def _report(candidates: dict[str, Run], count: int, rounds: int) -> None:
    first = next(iter(candidates))
    found = {name: np.array(run()) for name, run in candidates.items()}
    seconds = interleaved(candidates, rounds)
    rows = []
    for name, taken in seconds.items():
        rate = count / statistics.median(taken)
        overlap = float(np.mean(iou(found[first], found[name])))
        rows.append([name, f"{rate:.1f}", f"{1e3 / rate:.1f}", f"{ratio(taken, seconds[first]):.2f}", f"{overlap:.3f}"])
    print(table(["tracker", "frames/s", "ms/frame", "time / ours", "mean overlap with our boxes"], rows))


def _crops(image: Any, side: int) -> torch.Tensor:
    part = torch.from_numpy(image[:side, :side].copy()).permute(2, 0, 1)[None].float()
    return torch.cat([part, part.flip(3)])


def _siamfc_name(name: str) -> str:
    """`backbone.layers.0.1.weight` here is `backbone.conv1.1.weight` there."""
    _, _, layer, rest = name.split(".", 3)
    return f"backbone.conv{int(layer) + 1}.{rest}"


_PYSOT_LAYERS = {"0": (0, 1), "1": (4, 5), "2": (8, 9), "3": (11, 12), "4": (14, 15)}
"""Our layer -> numbers of its convolution and BatchNorm in pysot's `features`."""
_PYSOT_HEAD = {
    "conv_r1": "template_loc_conv",
    "conv_r2": "search_loc_conv",
    "conv_cls1": "template_cls_conv",
    "conv_cls2": "search_cls_conv",
    "regress_adjust": "loc_adjust",
}


def _pysot_name(name: str) -> str:
    head, _, rest = name.partition(".")
    if head in _PYSOT_HEAD:
        return f"rpn_head.{_PYSOT_HEAD[head]}.{rest}"
    _, _, layer, part, value = name.split(".")
    return f"backbone.features.{_PYSOT_LAYERS[layer][int(part)]}.{value}"


if __name__ == "__main__":
    main()
