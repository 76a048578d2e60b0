"""A network of a training job with what it needs in training alone: its share of the labels, its teacher's terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from distillery.config.search_jobs import StudentJob
from distillery.distill.detection import term_weights
from distillery.engine.checkpoint import load_sidecar, load_tensors
from distillery.errors import UserError
from distillery.person_search.checkpoints import OIM
from distillery.person_search.network import Batch, Identified, OIMNetwork
from distillery.person_search.shares import parts
from distillery.person_search.teaching import DetectionTeacher, View


class Student(nn.Module):
    """A network, its adapter to the teacher's feature map, and the weights of its losses.

    The adapter, a 1x1 convolution where the channels differ, is trained with the network and thrown away with the
    training: the saved network and its cost are those of a plain one.

    Args:
        network: What is trained.
        job: Its description.
        weights: Weight of every supervised loss.
        teacher: The detection teacher, if the job has one.
        official_biases: Whether biases learn at twice the rate and do not decay, as in the official Caffe solver.
    """

    def __init__(
        self,
        network: OIMNetwork,
        job: StudentJob,
        weights: Mapping[str, float],
        teacher: DetectionTeacher | None = None,
        *,
        official_biases: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.distillation = job.detector
        self.factors = term_weights(job.detector, weights)
        self.identified: Identified | None = None
        self._identities = job.identities
        self._official_biases = official_biases
        self._teacher = [teacher] if job.detector and teacher else []  # in a list, it is no part of the module
        self.adapter: nn.Conv2d | None = None
        if self._teacher and job.detector and "hint" in job.detector.levels:
            channels = network.stem.channels, self._teacher[0].network.stem.channels
            if channels[0] != channels[1]:
                self.adapter = nn.Conv2d(*channels, 1)

    def forward(self, batch: Batch, view: View | None = None) -> dict[str, Tensor]:
        """All terms of a batch, unweighted, as parts of those of all ranks; the id features are kept for `update`.

        Args:
            batch: Images and annotations.
            view: What the teacher says to it.
        """
        if self._identities is not None:
            batch = batch._replace(ids=[ids.where(ids < self._identities, -1) for ids in batch.ids])
        outputs = self.network(batch)
        terms = self.network.losses(outputs)
        for teacher in self._teacher:
            assert view is not None and self.distillation is not None
            terms |= teacher.terms(outputs, view, self.distillation, self.adapter)
        self.identified = outputs.identified
        return parts(terms, outputs)

    def update(self) -> None:
        """Takes the id features of the last `forward` into table and queue, after its backward pass."""
        if self.identified is not None and self.network.identification is not None:
            self.network.identification.update(*self.identified)
        self.identified = None

    def parameter_groups(self) -> list[tuple[list[nn.Parameter], float, bool]]:
        """Trained parameters with their factor on the learning rate, and whether they decay."""
        named = [(name, value) for name, value in self.named_parameters() if value.requires_grad]
        if not self._official_biases:
            return [([value for _, value in named], 1.0, True)]
        biases = [value for name, value in named if name.endswith("bias")]
        return [([value for name, value in named if not name.endswith("bias")], 1.0, True), (biases, 2.0, False)]


_SHARED = ("stem.", "proposals.", "head.", "layers.")
"""Parts that every network of this paper has; what QEEPS adds to them has other names."""


def start_from(network: OIMNetwork, path: Path) -> None:
    """Loads a trained OIM network's tensors into another network of the same architecture, but for the table.

    The queue follows where it has the same size. Parts that OIM does not have keep their initialisation.

    Raises:
        UserError: If the file is missing or broken, or belongs to another architecture.
    """
    load_sidecar(path, kind=OIM)
    expected, tensors = network.state_dict(), load_tensors(path)
    left_out = {"identification.table"}
    if _shape(tensors, "identification.queue") != _shape(expected, "identification.queue"):
        left_out |= {"identification.queue", "identification.pointer"}
    tensors = {name: value for name, value in tensors.items() if name not in left_out}
    wanted = {*tensors, *(name for name in expected if name.startswith(_SHARED))}
    fault = next(
        (
            f"tensor {name!r} has shape {_shape(tensors, name)}, the student needs {_shape(expected, name)}"
            for name in sorted(wanted)
            if _shape(tensors, name) != _shape(expected, name)
        ),
        None,
    )
    if fault:
        raise UserError(
            f"is no start for a network of another architecture: {fault}",
            file=path,
            remedy="start from a network of the same shape and id feature",
        )
    network.load_state_dict(tensors, strict=False)


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
