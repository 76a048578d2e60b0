"""A network trained for seconds in memory follows targets that it never saw: labels, training and tracker agree."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from distillery.config.pairs import Pairs
from distillery.config.siamrpn import RPNInference, RPNLabels, SiamRPNArchitecture, SiamRPNGeometry
from distillery.config.tracking import SiamRPNTraining
from distillery.config.training import Compute, Optimisation
from distillery.engine.devices import Device
from distillery.tracking.boxes import iou
from distillery.tracking.crops import context_side, crop
from distillery.tracking.pairs import PairBatch
from distillery.tracking.rpn_tracker import RPNTracker
from distillery.tracking.rpn_training import responder
from distillery.tracking.siamrpn import SiamRPN, build

CPU = Device(torch.device("cpu"), torch.float32)
COMPACT = SiamRPNGeometry(
    exemplar=63, search=127, small_search=127, train_search=127, stride=4, anchor_scale=4, response_scale=0.02
)


def scene(seed: int, patch: np.ndarray, box: list[int]) -> np.ndarray:
    """A frame of 240 x 180: a colour patch on blurred ground."""
    ground = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    frame = cv2.resize(ground, (240, 180))
    x, y, w, h = box
    frame[y : y + h, x : x + w] = cv2.resize(patch, (w, h), interpolation=cv2.INTER_NEAREST)
    return frame


def patch_of(draw: np.random.Generator) -> np.ndarray:
    return draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)


def pairs(step: int, size: int = 8) -> PairBatch:
    """Training pairs of patches that no test sees."""
    draw = np.random.default_rng([5, step])
    exemplars, searches, corners = [], [], []
    for _ in range(size):
        patch = patch_of(draw)
        w, h, x, y = (int(value) for value in draw.integers([20, 20, 50, 30], [48, 48, 140, 100]))
        centre, side = np.array([x + (w - 1) / 2, y + (h - 1) / 2]), context_side(w, h, 0.5)
        first, second = (scene(int(draw.integers(1 << 30)), patch, [x, y, w, h]) for _ in range(2))
        exemplars.append(crop(first, (centre[0], centre[1]), side, 63, (128, 128, 128)))
        shift, wide = draw.uniform(-0.4, 0.4, 2) * side, side * 127 / 63 * draw.uniform(0.85, 1.15)
        searches.append(crop(second, tuple(centre - shift), wide, 127, (128, 128, 128)))
        middle, half = 63 + shift * 127 / wide, np.array([w, h]) / 2 * 127 / wide
        corners.append(np.concatenate([middle - half, middle + half]))

    def tensor(crops: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()

    return PairBatch(
        tensor(exemplars),
        tensor(searches),
        torch.from_numpy(np.stack(corners)).float(),
        torch.ones(size, dtype=torch.bool),
    )


def fresh() -> SiamRPN:
    torch.manual_seed(0)
    return build(SiamRPNArchitecture(layout="compact", width=0.06), COMPACT)


@pytest.fixture(scope="module")
def trained() -> SiamRPN:
    """A network of 315,000 parameters after 150 steps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made, steps = fresh().train(), 150
    job = SiamRPNTraining(
        family="siamrpn",
        seed=0,
        compute=Compute(),
        pairs=Pairs(epoch=1),
        networks=("dim",),
        distillation=None,
        optimisation=Optimisation(steps=steps, batch=8),
        geometry=COMPACT,
        labels=RPNLabels(),
        architectures={},
    )
    respond = responder(job, CPU)
    optimiser = torch.optim.AdamW(made.parameters())
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
        answer = respond(made, pairs(step), step, ())
        assert answer.regression is not None
        optimiser.zero_grad()
        (answer.hard + answer.regression).mean().backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 10.0)
        optimiser.step()
    torch.set_num_threads(threads)
    return made.eval()


def overlaps(network: SiamRPN, seed: int) -> list[float]:
    """Overlap in every frame with a patch that moves and grows."""
    made = RPNTracker(network, RPNInference(adaptive=False, window=0.05, penalty=0.1, rate=0.3), CPU)
    patch, found = patch_of(np.random.default_rng([9, seed])), []
    for step in range(20):
        box = [20 + 7 * step, 30 + 4 * step, 36 + step // 2, 30 + step // 3]
        frame = scene(seed, patch, box)
        if step == 0:
            made.init(frame, box)
        else:
            found.append(float(iou(made.update(frame), box)))
    return found


def test_a_trained_network_follows_targets_it_never_saw(trained: SiamRPN) -> None:
    means = [float(np.mean(overlaps(trained, seed))) for seed in range(5)]
    assert float(np.median(means)) > 0.55, means
    untrained = float(np.median([np.mean(overlaps(fresh().eval(), seed)) for seed in range(5)]))
    assert untrained < 0.3


def test_training_state_is_untouched_by_tracking(trained: SiamRPN) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    overlaps(trained, 0)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert overlaps(trained, 0) == overlaps(trained, 0)
