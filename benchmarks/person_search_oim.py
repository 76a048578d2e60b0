"""A step of Online Instance Matching beside SeqNet's: loss, gradient, update of table and queue.

    python benchmarks/person_search_oim.py --seqnet CLONE [--threads 1] [--rois 320] [--rounds 25]

320 regions of 256 numbers, tables and queues of CUHK-SYSU's and PRW's size, at SeqNet's temperature. SeqNet multiplies
every region with table and queue and leaves those of unlabelled people out of the mean, so their share is a parameter:
of the people in CUHK-SYSU's training images 73 % are unlabelled, of PRW's 17 %. SeqNet updates table and queue while it
computes the gradient, ours after it; both are timed. Fails where gradients, tables or queues differ.
"""

from __future__ import annotations

import importlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from harness import add_clone, arguments, begin, interleaved, ratio, table
from torch import Tensor
from torch.nn import functional as F

from distillery.person_search.oim import IdentificationTable

DIMENSION, SCALE, MOMENTUM = 256, 30.0, 0.5
SETS = {"CUHK-SYSU": (5532, 5000, (0.0, 0.3, 0.73)), "PRW": (482, 500, (0.17,))}
"""Rows of table and queue, and shares of regions without a label."""
LIMIT = 1e-6


def main() -> None:
    """Command line."""
    parser = arguments(__doc__ or "", peers=("seqnet",))
    parser.add_argument("--rois", type=int, default=320, help="regions of a step (default: 320)")
    parser.set_defaults(rounds=25)
    options = parser.parse_args()
    if not options.seqnet:
        parser.error("nothing to compare with: give a clone of SeqNet")
    begin(options)
    commit = add_clone(options.seqnet)
    loss = importlib.import_module("models.oim").OIMLoss
    rows, worst = [], 0.0
    for name, (identities, queued, shares) in SETS.items():
        for share in shares:
            features, ids, known, unknown = made(options.rois, identities, queued, share)
            ours, theirs = here(features, ids, known, unknown), seqnet(loss, features, ids, known, unknown)
            difference = apart(ours, theirs)
            worst = max(worst, difference)
            seconds = interleaved({"here": ours, "seqnet": theirs}, options.rounds, warm=3)
            medians = [f"{1e3 * statistics.median(seconds[side]):.1f}" for side in ("seqnet", "here")]
            label, times = f"{name}, {100 * share:.0f} % unlabelled", ratio(seconds["seqnet"], seconds["here"])
            rows.append([label, f"{identities} + {queued}", *medians, f"{times:.2f}", f"{difference:.0e}"])
    print(f"SeqNet {commit}; {options.rois} regions.\n")
    print(table(["OIM step", "columns", "SeqNet, ms", "here, ms", "ratio", "largest difference"], rows))
    if worst > LIMIT:
        sys.exit(f"gradients, tables or queues differ by more than {LIMIT:.0e}")


Step = Callable[[], tuple[Tensor, Tensor, Tensor]]
"""One step; gives the gradient, the table and the queue."""


def made(rois: int, identities: int, queued: int, share: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features and ids of the regions (-1 without a label), table and queue."""
    torch.manual_seed(0)
    features, known, unknown = (F.normalize(torch.randn(rows, DIMENSION)) for rows in (rois, identities, queued))
    ids = torch.randint(0, identities, (rois,))
    ids[: round(share * rois)] = -1
    return features, ids[torch.randperm(rois)], known, unknown


def here(features: Tensor, ids: Tensor, known: Tensor, unknown: Tensor) -> Step:
    """Ours."""
    matching = IdentificationTable(
        len(known), DIMENSION, len(unknown), temperature=1 / SCALE, momentum=MOMENTUM, rows=known, frozen=False
    )
    matching.queue.copy_(unknown)

    def step() -> tuple[Tensor, Tensor, Tensor]:
        inputs = features.clone().requires_grad_()
        matching(inputs, ids).backward()
        matching.update(inputs, ids)
        assert inputs.grad is not None
        return inputs.grad, matching.table, matching.queue

    return step


def seqnet(loss: Any, features: Tensor, ids: Tensor, known: Tensor, unknown: Tensor) -> Step:
    """SeqNet's, whose identities begin with 1; 5555 is nobody's."""
    matching = loss(DIMENSION, len(known), len(unknown), MOMENTUM, SCALE)
    matching.lut.copy_(known)
    matching.cq.copy_(unknown)
    labels = torch.where(ids < 0, 5555, ids + 1)

    def step() -> tuple[Tensor, Tensor, Tensor]:
        inputs = features.clone().requires_grad_()
        matching(inputs, [labels]).backward()
        assert inputs.grad is not None
        return inputs.grad, matching.lut, matching.cq

    return step


def apart(ours: Step, theirs: Step) -> float:
    """Largest difference of the gradients, tables and queues of two steps."""
    pairs = [pair for _ in range(2) for pair in zip(ours(), theirs(), strict=True)]
    return max(float((one - other).abs().max()) for one, other in pairs)


if __name__ == "__main__":
    main()
