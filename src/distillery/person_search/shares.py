"""What one of several ranks has to know of the others' images, so that all together learn as one process would.

Losses are means over anchors, regions or people, of which the ranks have unequal numbers; a rank's part of the whole
is its own mean times its share of what the mean runs over. Which anchors and regions are learnt from is drawn image
after image from one generator; a rank draws for the images of the others too, of which only the numbers count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from distillery.engine import distributed


def _anchors(outputs: Any) -> int:
    return len(outputs.anchor_sample.anchors)


def _regions(outputs: Any) -> int:
    return len(outputs.sample.boxes)


AVERAGED: Mapping[str, Callable[[Any], int]] = {
    "rpn_score": _anchors,
    "rpn_box": _anchors,
    "rpn_score_soft": _anchors,
    "rpn_box_bounded": _anchors,
    "score": _regions,
    "box": _regions,
    "score_soft": _regions,
    "box_bounded": _regions,
    "identity": lambda outputs: int((outputs.identified.ids >= 0).sum()),
    "hint": lambda outputs: len(outputs.features),
    "query_proposals": lambda outputs: len(outputs.added.anchors),
    "similarity": lambda outputs: len(outputs.added.pairs),
}
"""Loss -> how many anchors, regions, labelled people, images (of one size) or pairs it is the mean over, of a pass's
`network.Outputs`. The box losses are sums over the foreground, divided by the number of all."""


def parts(terms: Mapping[str, Tensor], outputs: Any) -> dict[str, Tensor]:
    """Losses of this rank's images as parts of the losses of all; alone it is what it gets.

    Args:
        terms: Losses by name.
        outputs: `network.Outputs`, of which they were made.
    """
    if distributed.world() == 1:
        return dict(terms)
    counts = [AVERAGED[name](outputs) for name in terms]
    wholes = distributed.totals(counts)
    return {
        name: _part(term, count, whole)
        for (name, term), count, whole in zip(terms.items(), counts, wholes, strict=True)
    }


def _part(term: Tensor, count: int, whole: int) -> Tensor:
    # The mean over nothing may be NaN; it stays connected, since every rank's backward pass must take the same way.
    return term * (count / whole) if count else term.nan_to_num() * 0.0


def few(features: Tensor) -> bool:
    """Whether all ranks together have fewer than two rows (N, D), too few for a variance."""
    return distributed.totals([len(features)])[0] < 2


def drawn(sampler: BalancedPositiveNegativeSampler, labels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """What torchvision's sampler draws for the images of this rank within the batch of all.

    Args:
        sampler: Draws from torch's global generator, which all ranks seed alike.
        labels: Of every image, (A,): at least 1 foreground, 0 background, -1 neither.

    Returns:
        Masks (A,) of the chosen foreground and background of every image.
    """
    if distributed.world() == 1:
        positive, negative = sampler(list(labels))
        return positive, negative
    numbers = [[int((one >= 1).sum()), int((one == 0).sum())] for one in labels]
    everyone = distributed.gathered(torch.tensor(numbers, dtype=torch.int64).view(-1, 2)).tolist()
    images = distributed.share(len(everyone))
    stand_ins = [torch.cat([labels[0].new_ones(some), labels[0].new_zeros(rest)]) for some, rest in everyone]
    stand_ins[images] = labels
    positive, negative = sampler(stand_ins)
    return positive[images], negative[images]
