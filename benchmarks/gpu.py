"""Time of a frame's forward on a GPU at batch 1: teachers and dim students, eager, compiled and as CUDA graphs.

    PYTHONPATH=src python benchmarks/gpu.py [--rounds 50] [--precision float32 bfloat16] [--mode eager graph compile]

Needs Python, torch, NumPy, pydantic and safetensors. SiamFC sees three scales of 255 pixels, SiamRPN one region of 271.
Networks and weights are those of the tracker on that device (BatchNorm folded). A mode whose outputs differ from the
eager ones in float32 by more than its precision allows is an error.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from harness import arguments, begin, difference, interleaved, settle, table
from torch import Tensor

from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry
from distillery.config.siamrpn import SiamRPNArchitecture, SiamRPNGeometry
from distillery.tracking.siamfc import SiamFC
from distillery.tracking.siamrpn import SiamRPN

Forward = Callable[[Tensor], Any]

TOLERANCES = {"float32": 1e-3, "bfloat16": 1e-1, "float16": 2e-2}
"""Largest difference to the float32 output, relative to its largest magnitude; convolutions may use TF32."""
MODES = ("eager", "graph", "compile", "compile+graph")
RATIO = 0.28


def siamfc(width: float, shrinkage: float, device: torch.device) -> tuple[Forward, Tensor, int]:
    """Forward of a frame, what it sees, and the network's parameters."""
    network = SiamFC(SiamFCArchitecture(width=width, ratios=(shrinkage,) * 5), SiamFCGeometry()).to(device)
    exemplar, search = _crops(1, 127, device), _crops(3, 255, device)
    settle(network, lambda: network(exemplar.expand(3, -1, -1, -1), search))
    ready = network.for_inference(3, packed=False)
    kernel = ready.embed(exemplar)
    return lambda images: ready.respond(kernel.to(images.dtype), images), search, _count(network)


def siamrpn(width: float, shrinkage: float, device: torch.device) -> tuple[Forward, Tensor, int]:
    """The same for SiamRPN."""
    network = SiamRPN(SiamRPNArchitecture(width=width, ratios=(shrinkage,) * 6), SiamRPNGeometry()).to(device)
    exemplar, search = _crops(1, 127, device), _crops(1, 271, device)
    settle(network, lambda: network(_crops(2, 127, device), _crops(2, 271, device)))
    ready = network.for_inference()
    kernels = ready.template(exemplar)
    return lambda images: ready.respond(kernels, images), search, _count(network)


FAMILIES = {"SiamFC": siamfc, "SiamRPN (BIG)": siamrpn}


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(rounds=50)
    parser.add_argument("--device", default="cuda", help="for a trial: cpu (default: cuda)")
    parser.add_argument("--width", type=float, default=1.0, help="width of the teachers (default: 1)")
    parser.add_argument("--precision", nargs="+", choices=sorted(TOLERANCES), default=["float32", "bfloat16"])
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES))
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no GPU here; --device cpu tries the script out")
    begin(options)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    rows = [row for family, make in FAMILIES.items() for row in measure(family, make, options)]
    modes = [f"{mode}, ms (times the teacher)" for mode in options.mode]
    print(table(["family", "network", "MB", "precision", *modes], rows))


@torch.no_grad()
def measure(family: str, make: Callable[..., tuple[Forward, Tensor, int]], options: argparse.Namespace) -> list[Any]:
    """Rows of one family."""
    device = torch.device(options.device)
    networks = {name: make(options.width, shrinkage, device) for name, shrinkage in (("teacher", 1.0), ("dim", RATIO))}
    rows, teacher = [], {}
    for name, (forward, images, count) in networks.items():
        for precision in options.precision:
            torch.compiler.reset()  # or compiled code of one network counts as a recompilation of the last one's
            calls = {mode: prepared(forward, images, precision, mode) for mode in options.mode}
            check(f"{family} {name}", forward, images, calls, precision)
            taken = interleaved(calls, options.rounds, warm=10)
            medians = {mode: 1e3 * statistics.median(seconds) for mode, seconds in taken.items()}
            if name == "teacher":
                teacher[precision] = medians
            cells = [f"{value:.3f} ({teacher[precision][mode] / value:.2f})" for mode, value in medians.items()]
            rows.append([family, name, f"{4e-6 * count:.2f}", precision, *cells])
    return rows


def prepared(forward: Forward, images: Tensor, precision: str, mode: str) -> Callable[[], Any]:
    """A call without arguments that runs one frame's forward."""
    dtype = getattr(torch, precision)

    def run(images: Tensor) -> Any:
        with torch.autocast(images.device.type, dtype, enabled=precision != "float32", cache_enabled=False):
            return forward(images)

    function = torch.compile(run) if "compile" in mode else run
    if "graph" not in mode:
        return lambda: function(images)
    if images.device.type != "cuda":
        sys.exit("CUDA graphs need a GPU; leave the mode out")
    # Capture wants warmed-up code on a stream of its own, and the same memory at every replay.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function(images)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = function(images)

    def replay() -> Any:
        graph.replay()
        return answer

    return replay


def check(name: str, forward: Forward, images: Tensor, calls: dict[str, Callable[[], Any]], precision: str) -> None:
    """Stops where a mode answers something else than the eager network in float32."""
    expected = _tensors(forward(images))
    for mode, call in calls.items():
        found = _tensors(call())
        worst = max(difference(one.float(), other) for one, other in zip(found, expected, strict=True))
        if not worst <= TOLERANCES[precision]:
            sys.exit(f"{name}, {precision}, {mode}: differs by {worst:.1e} of the largest output")


def _tensors(answer: Any) -> tuple[Tensor, ...]:
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)


def _crops(count: int, side: int, device: torch.device) -> Tensor:
    """As the tracker makes them: channels last in memory."""
    generator = torch.Generator().manual_seed(side)
    images = torch.randint(0, 256, (count, side, side, 3), generator=generator)
    return images.to(device).permute(0, 3, 1, 2).float()


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


if __name__ == "__main__":
    main()
