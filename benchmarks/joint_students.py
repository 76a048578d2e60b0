"""Two students that learn together from one teacher, beside two jobs of one student each.

    python benchmarks/joint_students.py [--size published] [--threads 1]

Timed is what a training step spends before the optimiser: pairs, responses of teacher and students, all losses and the
backward pass. Together the students also share what they know (TSsKD); apart they cannot.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from harness import arguments, begin, interleaved, ratio, settle, table
from training_pairs import CLIPS, write_clip

from distillery.config.distillation import Distillation, Sharing
from distillery.config.pairs import Pairs
from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry
from distillery.config.tracking import SiamFCTraining
from distillery.config.training import Compute, Optimisation
from distillery.engine.devices import prepare
from distillery.tracking import lessons, siamfc_training
from distillery.tracking.pairs import PairSampler
from distillery.tracking.siamfc import SiamFC, build
from distillery.tracking.training import TrackerTask

SIZES = {
    # Widths and batches of config/mini.yaml and of the paper.
    "mini": ("compact", 0.25, SiamFCGeometry(exemplar=63, search=127, train_search=119, response_scale=0.02), 16),
    "published": ("published", 1.0, SiamFCGeometry(), 8),
}
SHRINKAGE = {"teacher": 1.0, "dim": 0.28, "intelligent": 0.5}


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--size", choices=sorted(SIZES), default="mini", help="which networks (default: mini)")
    parser.add_argument("--width", type=float, help="width of the teacher, instead of the size's")
    options = parser.parse_args()
    begin(options)
    layout, width, geometry, batch = SIZES[options.size]
    width = options.width or width
    networks: dict[str, Any] = {
        name: SiamFCArchitecture(layout=layout, width=width * shrinkage) for name, shrinkage in SHRINKAGE.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        clips = [write_clip(Path(folder) / str(index), 240, 180, index) for index in range(CLIPS)]

        def job(*names: str, sharing: Sharing | None = None) -> Callable[[], None]:
            parameters = SiamFCTraining(
                family="siamfc",
                geometry=geometry,
                architectures={name: networks[name] for name in names},
                seed=0,
                compute=Compute(device="cpu", threads=options.threads),
                pairs=Pairs(epoch=10**6),
                networks=names,
                distillation=Distillation(sharing=sharing),
                optimisation=Optimisation(steps=1, batch=batch),
            )
            return step_of(parameters, build(networks["teacher"], geometry), clips)

        steps = {
            "dim alone": job("dim"),
            "intelligent alone": job("intelligent"),
            "both in one job, sharing": job("dim", "intelligent", sharing=Sharing()),
        }
        seconds = interleaved(steps, options.rounds)
    apart = [one + other for one, other in zip(*list(seconds.values())[:2], strict=True)]
    together = list(seconds.values())[2]
    rows = [[name, f"{1e3 * statistics.median(taken):.0f}"] for name, taken in seconds.items()]
    print(f"SiamFC, {options.size} size, teacher of width {width:g}, batches of {batch}.\n")
    print(table(["step", "ms"], rows))
    share = ratio(together, apart)
    print(table(["students", "share of the time"], [["both in one job / two separate jobs", f"{share:.2f}"]]))


def step_of(parameters: SiamFCTraining, teacher: SiamFC, clips: list[Any]) -> Callable[[], None]:
    """Loss and backward of one step after another."""
    device = prepare(parameters.compute)
    torch.manual_seed(0)
    students = {name: build(parameters.architectures[name], parameters.geometry) for name in parameters.networks}
    respond = siamfc_training.responder(parameters, device)
    sampler = PairSampler(clips, parameters.pairs, parameters.geometry, parameters.seed)
    batch = sampler.batch(0, parameters.optimisation.batch)
    settle(teacher, lambda: teacher(batch.exemplar, batch.search))
    assert parameters.distillation is not None
    lesson = lessons.live(teacher.requires_grad_(False), respond, parameters.distillation)
    task = TrackerTask(students, respond, lesson, sampler, parameters, device)
    steps = itertools.count()

    def step() -> None:
        task.module.zero_grad(set_to_none=True)
        loss, _ = task.loss(next(steps))
        loss.backward()

    return step


if __name__ == "__main__":
    main()
