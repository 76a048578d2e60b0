"""The detection teacher of person-search networks: what it says to a batch, and the terms that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distillery.config.search_distillation import DetectorDistillation
from distillery.distill.detection import bounded_regression, hint, soft_classification, soft_objectness
from distillery.errors import UserError
from distillery.person_search.network import OIMNetwork, Outputs, RegionOutputs
from distillery.person_search.proposals import AnchorOutputs


class View(NamedTuple):
    """What the teacher says to a batch, whoever the student is.

    Attributes:
        features: (B, C, h, w) map of its stem.
        anchors: Answers about all anchors; None if no student asks for them.
    """

    features: Tensor
    anchors: AnchorOutputs | None


class DetectionTeacher:
    """A trained network in evaluation mode, without gradient.

    It looks at a batch once for all students: stem and proposal network do not depend on them. Its detection head is
    asked about each student's own regions.

    Args:
        network: On the device.
        distillations: Of all students that it teaches.
    """

    def __init__(self, network: OIMNetwork, distillations: Sequence[DetectorDistillation]) -> None:
        self.network = network.eval().requires_grad_(False)
        self._proposes = any("rpn" in one.levels for one in distillations)

    @torch.no_grad()
    def look(self, images: Tensor) -> View:
        """What it says to a padded batch (B, 3, H, W)."""
        features = self.network.stem(images)
        return View(features, self.network.proposals.outputs(features) if self._proposes else None)

    @torch.no_grad()
    def judge(self, view: View, boxes: Sequence[Tensor]) -> RegionOutputs:
        """Answers of its detection head about the regions (R_b, 4) of every image."""
        answers: RegionOutputs = self.network.layers(self.network.pool(view.features, boxes))
        return answers

    def terms(
        self, outputs: Outputs, view: View, distillation: DetectorDistillation, adapter: nn.Module | None
    ) -> dict[str, Tensor]:
        """The terms of the levels that are on, unweighted, by their names in `distill.detection.term_weights`.

        Args:
            outputs: Of the student.
            view: Of the same batch.
            distillation: Levels and their settings.
            adapter: Maps the student's feature map to the teacher's channels; None where they are the same.
        """
        terms: dict[str, Tensor] = {}
        if "hint" in distillation.levels:
            adapted = outputs.features if adapter is None else adapter(outputs.features)
            terms["hint"] = hint(adapted, view.features, distillation.hint_norm)
        if "rpn" in distillation.levels:
            assert view.anchors is not None
            rows, foreground = outputs.anchor_sample.anchors, outputs.anchor_sample.foreground
            terms["rpn_score_soft"] = soft_objectness(
                outputs.anchors.logits[rows], view.anchors.logits[rows], distillation.background
            )
            terms["rpn_box_bounded"] = bounded_regression(
                outputs.anchors.deltas[foreground],
                view.anchors.deltas[foreground],
                outputs.anchor_sample.targets,
                distillation.margin,
                len(rows),
            )
        if "rcnn" in distillation.levels:
            answers = self.judge(view, outputs.boxes)
            people = outputs.sample.foreground
            terms["score_soft"] = soft_classification(outputs.regions.scores, answers.scores, distillation.background)
            terms["box_bounded"] = bounded_regression(
                outputs.regions.deltas[people, 4:],
                answers.deltas[people, 4:],
                outputs.sample.targets[people],
                distillation.margin,
                len(people),
            )
        return terms


def check_fit(
    network: OIMNetwork, teacher: OIMNetwork, distillation: DetectorDistillation, *, student: str, file: Path
) -> None:
    """Makes sure that student and teacher answer about the same cells and anchors.

    Raises:
        UserError: If a level that is on cannot be compared.
    """
    shared = {"hint", "rpn"} & set(distillation.levels)
    if shared and network.stem.stride != teacher.stem.stride:
        raise UserError(
            f"has feature maps of stride {teacher.stem.stride}, those of {student!r} have {network.stem.stride}",
            file=file,
            remedy="teach with a detector of the same stride, or with the level rcnn alone",
        )
    if "rpn" in shared:
        own, its = (
            (one.proposals.anchor_generator.sizes, one.proposals.anchor_generator.aspect_ratios)
            for one in (network, teacher)
        )
        if own != its:
            raise UserError(
                f"answers about other anchors than {student!r}: sizes and ratios {its}, not {own}",
                file=file,
                remedy="train the detector with the same anchor_sizes and anchor_ratios, or leave out the level rpn",
            )
