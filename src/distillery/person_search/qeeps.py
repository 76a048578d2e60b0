"""The network of QEEPS (Munjal et al., "Query-guided End-to-End Person Search", CVPR 2019): OIM that knows its query.

A gallery image and the whole query image go through one stem together (QSSE-Net). Proposals of the gallery image are
chosen by the sum of two scores: person, and person searched for (QRPN). Their id features are compared with that of
the query's given box by a small network (QSimNet), whose answer ranks them.

Assumed, as the paper is recalled: detection and OIM are learnt on the gallery image alone, QSimNet on its foreground
regions; people without identity are others than the one searched for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from distillery.config.search_distillation import QueryGuidance
from distillery.config.search_jobs import SearchTraining, StudentJob
from distillery.errors import UserError
from distillery.person_search.guidance import (
    Begun,
    GuidedStem,
    QueryProposals,
    Similarity,
    Size,
    similarity_loss,
)
from distillery.person_search.network import Batch, Detections, Guests, OIMNetwork, Outputs
from distillery.person_search.regions import pool_regions

LOSSES = ("query_proposals", "similarity")
"""Names of the losses that QEEPS has beside OIM's."""


class Answers(NamedTuple):
    """What the losses of QRPN and QSimNet are made of.

    Attributes:
        anchors: (S,) logits of QRPN for the anchors from which it learns.
        wanted: (S,) 1.0 where they hold the person searched for, else 0.0.
        pairs: (N, 2) logits of QSimNet for foreground regions and their queries.
        same: (N,) bool, whether it is the same person.
    """

    anchors: Tensor
    wanted: Tensor
    pairs: Tensor
    same: Tensor


class PairDetections(NamedTuple):
    """Boxes (K, 4) in pixels of the gallery image, person probabilities (K,), and log-odds (K,) of QSimNet that it is
    the person searched for."""

    boxes: Tensor
    scores: Tensor
    similarity: Tensor


class QEEPSNetwork(OIMNetwork):
    """OIM's network, whose tensors keep their names, with QSSE-Net, QRPN and QSimNet.

    Untrained, the three change nothing: started from an OIM network it finds what that finds, in its order.

    Args:
        oim: Arguments of `OIMNetwork`, by name; it has an id feature.
        query: What QEEPS adds.
        hidden: Channels of the proposal networks.
    """

    def __init__(self, oim: dict[str, Any], query: QueryGuidance, hidden: int) -> None:
        super().__init__(**oim)
        # After OIM's parts, which so draw the same initialisation as in an OIM network of the same seed.
        self.guidance = GuidedStem(self.stem, query.guided, query.reduction)
        anchors = self.proposals.anchor_generator.num_anchors_per_location()[0]
        self.query_proposals = QueryProposals(self.stem.channels, hidden, anchors, query.reduction)
        self.similarity = Similarity(oim["identification"].dimension)
        self.post_nms = query.post_nms

    def look(self, images: Tensor, sizes: Sequence[Size]) -> Tensor:
        """See `OIMNetwork`: an image in which nobody is searched for meets itself."""
        return self.guidance.alone(self.stem, self.guidance.begin(self.stem, images, sizes))

    def begin(self, images: Tensor, sizes: Sequence[Size]) -> Begun:
        """What images (B, 3, H, W) say before they meet another one; it can be kept."""
        return self.guidance.begin(self.stem, images, sizes)

    def forward(self, batch: Batch) -> Outputs:
        """One training pass on pairs (`batch.query`), from which `losses` are taken; table and queue are not changed.

        A query whose identity the table does not have takes part in OIM's losses alone: nobody knows whom it matches.
        """
        query = batch.query
        assert query is not None and self.identification is not None
        count = len(batch.images)
        begun = self.begin(torch.cat([batch.images, query.images]), [*batch.sizes, *query.sizes])
        maps, others = self.guidance.meet(self.stem, begun.chosen(slice(count)), begun.chosen(slice(count, None)))
        plain = self.proposals.outputs(maps)
        logits = self._wanted(maps, self._pooled(others, query.boxes))
        # Both scores choose the proposals, the proposal network learns from its own.
        chosen_by = plain._replace(logits=plain.logits + logits.detach())
        outputs = self.examine(maps, batch, chosen_by, Guests(others, query.boxes))
        assert outputs.identified is not None and outputs.guests is not None
        people = torch.cat(query.ids)
        people = people.where(people < len(self.identification.table), -1)
        regions = torch.tensor([len(boxes) for boxes in outputs.boxes], device=maps.device)
        images = torch.arange(count, device=maps.device).repeat_interleave(regions)[outputs.sample.foreground]
        known = people[images] >= 0
        images, identified = images[known], outputs.identified
        answers = Answers(
            *self._learnt_from(logits, maps, batch, people),
            self.similarity(outputs.guests[images], identified.features[known]),
            identified.ids[known] == people[images],
        )
        return outputs._replace(anchors=plain, added=answers)

    def losses(self, outputs: Outputs) -> dict[str, Tensor]:
        """OIM's losses and those of `LOSSES`, unweighted."""
        answers: Answers = outputs.added
        if len(answers.anchors):
            proposals = F.binary_cross_entropy_with_logits(answers.anchors, answers.wanted)
        else:
            proposals = answers.anchors.sum()
        return {
            **super().losses(outputs),
            "query_proposals": proposals,
            "similarity": similarity_loss(answers.pairs, answers.same),
        }

    @torch.no_grad()
    def search(
        self, gallery: Begun, query: Begun, box: Tensor, people: Sequence[Tensor] | None = None
    ) -> list[PairDetections]:
        """Searches for one person in B gallery images, for evaluation mode.

        Args:
            gallery: Of the gallery images.
            query: Of the query image.
            box: (1, 4) the person, in pixels of the query image.
            people: (N_b, 4) boxes in every gallery image to compare instead of detecting; each has score 1.
        """
        count = len(gallery.mean)
        maps, others = self.guidance.meet(self.stem, gallery, query.expanded(count))
        wanted = self._pooled(others, [box] * count)
        proposals = list(people or [])
        if people is None:
            plain = self.proposals.outputs(maps)
            both = plain._replace(logits=plain.logits + self._wanted(maps, wanted))
            proposals = self.proposals.propose(both, self.proposals.anchors(maps, self.stem.stride), gallery.sizes)
            proposals = [boxes[: self.post_nms] for boxes in proposals]
        pooled = self.head(torch.cat([self._pooled(maps, proposals), wanted]))
        probes = self.layers.describe(pooled[len(pooled) - count :])
        pooled = pooled[: len(pooled) - count]
        if people is None:
            detections = self.decode(pooled, proposals, gallery.sizes)
        else:
            described = torch.split(self.layers.describe(pooled), [len(boxes) for boxes in people])
            detections = [
                Detections(boxes, torch.ones(len(boxes), device=boxes.device), features)
                for boxes, features in zip(people, described, strict=True)
            ]
        return [
            PairDetections(one.boxes, one.scores, self.similarity.log_odds(probe.expand_as(one.features), one.features))
            for one, probe in zip(detections, probes, strict=True)
        ]

    def _wanted(self, maps: Tensor, people: Tensor) -> Tensor:
        """QRPN's logits (A,) in the order of `AnchorOutputs`."""
        logits: Tensor = self.query_proposals(maps, people)
        return logits.permute(0, 2, 3, 1).flatten()

    def _pooled(self, maps: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        return pool_regions(maps, boxes, self.stem.stride, self.regions)

    def _learnt_from(self, logits: Tensor, maps: Tensor, batch: Batch, people: Tensor) -> tuple[Tensor, Tensor]:
        """QRPN's logits for the anchors drawn for it, and whether they hold the person searched for."""
        grid = self.proposals.anchors(maps, self.stem.stride)
        boxes = [
            boxes[(ids == person) & (ids >= 0)]
            for boxes, ids, person in zip(batch.boxes, batch.ids, people, strict=True)
        ]
        sample = self.proposals.sample(grid, boxes)
        known = (people >= 0)[sample.anchors // len(grid)]
        return logits[sample.anchors[known]], sample.labels[known]


def build_qeeps(
    parameters: SearchTraining, student: StudentJob, identities: int, rows: Tensor | None = None
) -> QEEPSNetwork:
    """A QEEPS network of a training job.

    Raises:
        UserError: If the parameters do not say what QEEPS adds, or the network has no id feature or no guided block.
    """
    if parameters.query is None or student.identification is None:
        raise UserError(
            "a QEEPS network needs the settings of the query's guidance and an id feature",
            place="query" if parameters.query is None else "identification",
            remedy="give both in the parameters of the job",
        )
    if parameters.query.guided == "conv4" and not student.shape.stem_blocks:
        raise UserError(
            "guides the stem from conv4 on, but the stem ends with conv3",
            place="query.guided",
            remedy="guide it from conv3 or conv2 on, or give the stem a block of conv4 (stem_blocks)",
        )
    oim = {
        "shape": student.shape,
        "proposals": parameters.proposals,
        "regions": parameters.regions,
        "identification": student.identification,
        "identities": identities,
        "rows": rows,
        "frozen": student.frozen,
    }
    return QEEPSNetwork(oim, parameters.query, parameters.proposals.channels)
