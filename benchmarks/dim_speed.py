"""How much faster a tracker runs on the dim student than on its full-width teacher.

    python benchmarks/dim_speed.py [--threads 1] [--ratio 0.28]

Both track the same frames, decoded before, with the published crops and settings; the paper claims a speed-up of 3.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import arguments, begin, interleaved, ratio, settle, table, video

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry, SiamFCInference
from distillery.config.siamrpn import RPNInference, SiamRPNArchitecture, SiamRPNGeometry
from distillery.engine.devices import Device
from distillery.tracking.rpn_tracker import RPNTracker
from distillery.tracking.siamfc import SiamFC
from distillery.tracking.siamrpn import SiamRPN
from distillery.tracking.tracker import SiamFCTracker

CPU = Device(torch.device("cpu"), torch.float32)


def siamfc(width: float, shrinkage: float) -> tuple[Any, int]:
    """A SiamFC tracker and its parameters."""
    network = SiamFC(SiamFCArchitecture(width=width, ratios=(shrinkage,) * 5), SiamFCGeometry())
    settle(network, lambda: network(torch.rand(2, 3, 127, 127) * 255, torch.rand(2, 3, 255, 255) * 255))
    return SiamFCTracker(network, SiamFCInference(), CPU), _count(network)


def siamrpn(width: float, shrinkage: float) -> tuple[Any, int]:
    """A SiamRPN tracker and its parameters."""
    network = SiamRPN(SiamRPNArchitecture(width=width, ratios=(shrinkage,) * 6), SiamRPNGeometry())
    settle(network, lambda: network(torch.rand(2, 3, 127, 127) * 255, torch.rand(2, 3, 271, 271) * 255))
    with torch.no_grad():  # offsets of random networks would blow the boxes up within a few frames
        network.regress_adjust.weight *= 1e-3
    return RPNTracker(network, RPNInference(adaptive=False), CPU), _count(network)


FAMILIES: dict[str, Callable[[float, float], tuple[Any, int]]] = {"SiamFC": siamfc, "SiamRPN (BIG)": siamrpn}


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--ratio", type=float, default=0.28, help="shrinkage of every layer (default: 0.28)")
    parser.add_argument("--width", type=float, default=1.0, help="width of the teachers (default: 1)")
    parser.add_argument("--frames", type=int, default=6, help="frames a turn (default: 6)")
    options = parser.parse_args()
    begin(options)
    images, boxes = video(options.frames)
    torch.manual_seed(0)
    rows = []
    for family, make in FAMILIES.items():
        made = {"teacher": make(options.width, 1.0), "dim": make(options.width, options.ratio)}

        def run(tracker: Any) -> Callable[[], None]:
            def track() -> None:
                tracker.init(images[0], np.array(boxes[0]))
                for image in images[1:]:
                    tracker.update(image)

            return track

        seconds = interleaved({name: run(tracker) for name, (tracker, _) in made.items()}, options.rounds)
        for name, (_, count) in made.items():
            taken = seconds[name]
            rate = options.frames / statistics.median(taken)
            speed = f"{ratio(seconds['teacher'], taken):.2f}"
            rows.append([family, name, f"{4e-6 * count:.2f}", f"{rate:.1f}", f"{1e3 / rate:.1f}", speed])
    print(table(["family", "network", "MB", "frames/s", "ms/frame", "times the teacher's speed"], rows))


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


if __name__ == "__main__":
    main()
