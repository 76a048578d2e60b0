"""The person-search networks at full size on a GPU: images a second, and the time of a training step.

    PYTHONPATH=src python benchmarks/person_search_gpu.py [--size 1000x600] [--batch 8] [--training-batch 4]

Needs Python, torch, torchvision, NumPy, pydantic and safetensors. ResNet-50 and ResNet-18 are split as the paper splits
them, with 300 proposals of an image and random weights. Searched is from normalised pixels on the device to boxes,
scores and id features, BatchNorm folded; a step is forward, the five losses, OIM's with 5,532 + 5,000 columns,
backward, SGD and the update of the table. Mixed precision is autocast's. It stops where the stem's map is another one
than that of the CPU in float32.
"""

from __future__ import annotations

import copy
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from harness import arguments, begin, difference, interleaved, settle, table

from distillery.config.search_network import Identification, Proposals, Regions, ResNetShape
from distillery.person_search.folding import folded
from distillery.person_search.network import Batch, OIMNetwork

SHAPES: dict[str, dict[str, Any]] = {
    "ResNet-50": {"stem_blocks": 3},
    "ResNet-18": {"block": "basic", "depths": (2, 2, 2, 2), "stem_blocks": 2},
}
IDENTITIES, PEOPLE = 5532, 6
"""Rows of the table; people in an image to learn from, every other one labelled."""
TOLERANCES = {"float32": 1e-2, "bfloat16": 3e-1, "float16": 3e-2}
"""Largest difference of the stem's map, relative to its largest magnitude; in float32 convolutions may use TF32."""


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(rounds=20)
    parser.add_argument("--device", default="cuda", help="for a trial: cpu (default: cuda)")
    parser.add_argument("--size", default="1000x600", help="of the images (default: 1000x600)")
    parser.add_argument("--batch", type=int, default=8, help="images that are searched together (default: 8)")
    parser.add_argument("--training-batch", type=int, default=4, help="images of a training step (default: 4)")
    parser.add_argument("--width", type=int, default=64, help="channels of conv1 (default: 64)")
    parser.add_argument("--precision", nargs="+", choices=sorted(TOLERANCES), default=["float32", "bfloat16"])
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no GPU here; --device cpu tries the script out")
    begin(options)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    rows = [row for name in SHAPES for row in measure(name, options)]
    together = f"images/s, {options.batch} at a time"
    step = f"training step of {options.training_batch} images, ms"
    print(table(["network", "MB", "precision", "images/s, one at a time", together, step, "peak, GB"], rows))


def measure(name: str, options: Any) -> list[list[str]]:
    """Rows of one network."""
    device = torch.device(options.device)
    width, height = (int(side) for side in options.size.split("x"))
    network = build(name, options.width, width, height).to(device)
    megabytes = 4e-6 * sum(parameter.numel() for parameter in network.parameters())
    ready = folded(copy.deepcopy(network).eval())
    rows = []
    for precision in options.precision:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        check(name, ready, images(1, width, height, device), precision)
        calls = {
            "one": searching(ready, images(1, width, height, device), precision),
            "many": searching(ready, images(options.batch, width, height, device), precision),
            "step": training(network, examples(options.training_batch, width, height, device), precision),
        }
        taken = {
            what: statistics.median(seconds) for what, seconds in interleaved(calls, options.rounds, warm=3).items()
        }
        speeds = [f"{1 / taken['one']:.1f}", f"{options.batch / taken['many']:.1f}", f"{1e3 * taken['step']:.0f}"]
        peak = f"{torch.cuda.max_memory_allocated() / 1e9:.1f}" if device.type == "cuda" else "not measured"
        rows.append([name, f"{megabytes:.1f}", precision, *speeds, peak])
    return rows


def build(name: str, channels: int, width: int, height: int) -> OIMNetwork:
    """A network whose features have a usual size: BatchNorm's statistics are those of an image, and then frozen."""

    def made(norm: str) -> OIMNetwork:
        shape = ResNetShape(width=channels, norm=norm, **SHAPES[name])
        return OIMNetwork(shape, Proposals(), Regions(), Identification(), IDENTITIES)

    loose, network = made("batch"), made("frozen")
    image = images(1, width // 2, height // 2, torch.device("cpu"))
    settle(loose, lambda: loose.pool(loose.stem(image), [torch.tensor([[10.0, 10, 70, 130], [40, 20, 110, 140]])]))
    network.load_state_dict(loose.state_dict())
    return network


def images(count: int, width: int, height: int, device: torch.device) -> torch.Tensor:
    """Noise (B, 3, H, W), padded to the stride of the stem."""
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, 3, height + -height % 16, width + -width % 16, generator=generator).to(device)


def examples(count: int, width: int, height: int, device: torch.device) -> Batch:
    """Images with people to learn from."""
    left = torch.arange(PEOPLE) * (width - 60.0) / PEOPLE
    people = torch.stack([left, torch.full_like(left, 10), left + 60, torch.full_like(left, min(160, height - 10))], 1)
    ids = torch.arange(PEOPLE * count).view(count, PEOPLE) % IDENTITIES
    ids[:, ::2] = -1
    made = images(count, width, height, device)
    return Batch(made, [(height, width)] * count, [people.to(device)] * count, list(ids.to(device)))


def searching(network: OIMNetwork, pixels: torch.Tensor, precision: str) -> Callable[[], Any]:
    """Finds and describes everybody."""
    sizes = [(pixels.shape[2], pixels.shape[3])] * len(pixels)

    @torch.no_grad()
    def search() -> Any:
        with mixed(pixels.device, precision):
            return network.detect_all(network.look(pixels, sizes), sizes)

    return search


def training(network: OIMNetwork, batch: Batch, precision: str) -> Callable[[], None]:
    """One step of a training."""
    network.train()
    optimiser = torch.optim.SGD([one for one in network.parameters() if one.requires_grad], lr=1e-6, momentum=0.9)

    def step() -> None:
        with mixed(batch.images.device, precision):
            outputs = network(batch)
            loss = torch.stack([term.float() for term in network.losses(outputs).values()]).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        assert network.identification is not None and outputs.identified is not None
        network.identification.update(*outputs.identified)

    return step


def mixed(device: torch.device, precision: str) -> torch.autocast:
    """Autocast, off in float32."""
    return torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32")


@torch.no_grad()
def check(name: str, network: OIMNetwork, pixels: torch.Tensor, precision: str) -> None:
    """Stops where the map in this precision is another one than on the CPU in float32."""
    expected = copy.deepcopy(network).cpu().stem(pixels.cpu())
    with mixed(pixels.device, precision):
        found = difference(network.stem(pixels).float().cpu(), expected)
    if not found <= TOLERANCES[precision]:
        sys.exit(f"{name}, {precision}: the map differs by {found:.1e} of its largest magnitude")


if __name__ == "__main__":
    main()
