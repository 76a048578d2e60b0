"""Trackers that two ranks train; see `rank_steps`."""

from __future__ import annotations

from pathlib import Path

import torch

from distillery.config.base import parse
from distillery.config.distillation import Distillation
from distillery.config.tracking import SiamFCTraining, SiamRPNTraining, TrackerTraining
from distillery.engine.devices import prepare
from distillery.engine.randomness import seed_torch
from distillery.tracking import lessons
from distillery.tracking.families import network_module, training_module
from distillery.tracking.training import TrackerTask, build_networks, pair_sampler
from rank_steps import compare, in_double

COMPUTE = {"device": "cpu", "threads": 1}
SIAMFC = {
    "family": "siamfc",
    "geometry": {"response_scale": 0.02},
    "architectures": {"dim": {"width": 0.02}, "intelligent": {"width": 0.03}},
}
SIAMRPN = {
    "family": "siamrpn",
    "geometry": {
        **{"exemplar": 63, "search": 127, "small_search": 127, "train_search": 127, "stride": 4},
        **{"anchor_scale": 4, "response_scale": 0.02},
    },
    "labels": {},
    "architectures": {name: {"width": width, "layout": "compact"} for name, width in (("dim", 0.02), ("other", 0.03))},
}
SHARING = {"threshold": 0.3, "granularity": "batch"}
BATCH = 3
"""A pair more for the second rank than for the first."""


def parameters(family: dict, steps: int = 3, **changes: object) -> TrackerTraining:
    made = {
        "seed": 0,
        "compute": COMPUTE,
        "pairs": {"epoch": 40, "negative": 0.4, "colour": 0.1},
        "networks": list(family["architectures"]),
        "distillation": {"sharing": SHARING, "layers": [3, 5], "omega": 10.0},
        "optimisation": {"steps": steps, "batch": BATCH, "learning_rate": 0.05, "final_learning_rate": 0.05},
    }
    kind = SiamFCTraining if family["family"] == "siamfc" else SiamRPNTraining
    return parse(kind, made | family | changes, source="test")


def task(data: Path, family: dict, recording: Path | None = None, **changes: object) -> TrackerTask:
    job = parameters(family, **changes)
    device = prepare(job.compute)
    networks = build_networks(job, {}, device)
    respond, sampler = training_module(job.family).responder(job, device), pair_sampler(job, data)
    config = job.distillation
    assert isinstance(config, Distillation)
    seed_torch(9)
    module = network_module(job.family)
    unsure = job.geometry.model_copy(update={"response_scale": 1e-4})  # between the students' losses, so gates differ
    teacher = module.build(next(iter(job.architectures.values())), unsure).requires_grad_(False)
    for part in teacher.modules():
        part.momentum = 1.0
    geometry = job.geometry
    crops = (torch.rand(4, 3, side, side) * 255 for side in (geometry.exemplar, geometry.train_search))
    teacher(*crops)  # a teacher whose BatchNorm has seen something
    teacher.eval()
    teach = lessons.live(teacher, respond, config)
    if recording is not None:
        if not recording.exists():
            lessons.record(teacher, respond, sampler, job, "key", recording)
        teach = lessons.recorded(recording, job, "key", torch.device("cpu"))
    return TrackerTask(networks, respond, teach, sampler, job, device)


def trackers(data: Path, folder: Path) -> None:
    """SiamFC with two students that share by the whole batch, from teacher and recording; SiamRPN with its anchors."""
    in_double()
    each = {"threshold": 0.0, "granularity": "sample"}
    cases = {
        "siamfc": lambda: task(data, SIAMFC),
        "siamfc recorded": lambda: task(data, SIAMFC, folder / "recording.safetensors", steps=2),
        "siamrpn": lambda: task(data, SIAMRPN, distillation={"sharing": each, "balanced": True}),
    }
    compare(cases, folder)
