"""Training of QEEPS networks: as OIM's, on pairs of a gallery image and a person in another image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from distillery.config.search_jobs import SearchTraining
from distillery.engine import distributed
from distillery.engine.devices import Device
from distillery.engine.randomness import numpy_generator
from distillery.person_search.dataset import ImageStore, images_batch, order
from distillery.person_search.network import Batch
from distillery.person_search.pairing import People
from distillery.person_search.qeeps import build_qeeps
from distillery.person_search.students import Student
from distillery.person_search.teaching import DetectionTeacher
from distillery.person_search.training import SearchMethod, SearchTask


class QEEPSTask(SearchTask):
    """`SearchTask` on pairs; the gallery images are those that OIM sees with the same seed.

    Args:
        students: By the name of their variant, on the device.
        store: Training images.
        parameters: Of the job.
        device: Where it computes.
        teacher: The detection teacher, if a student has one.
    """

    def __init__(
        self,
        students: Mapping[str, Student],
        store: ImageStore,
        parameters: SearchTraining,
        device: Device,
        teacher: DetectionTeacher | None = None,
    ) -> None:
        super().__init__(students, store, parameters, device, teacher)
        self._people = People(store.images)

    def batch(self, step: int) -> Batch:
        """The batch of a step with `query`, from (seed, step) alone."""
        query, seed, size = self._parameters.query, self._parameters.seed, self._parameters.optimisation.batch
        assert query is not None
        generator = numpy_generator(seed, "query", step)
        wanted = [
            self._people.draw(int(image), query.positives, generator)
            for image in order(seed, step, size, len(self._store))
        ]
        mirrored = generator.random(size) < 0.5
        gallery = super().batch(step)
        stride = next(iter(self._students.values())).network.stem.stride
        own = distributed.share(size)
        wanted = wanted[own]
        images = images_batch(self._store, [one.image for one in wanted], mirrored[own], stride, self._device)
        rows = [slice(one.person, one.person + 1) for one in wanted]
        people = images._replace(
            boxes=[boxes[row] for boxes, row in zip(images.boxes, rows, strict=True)],
            ids=[ids[row] for ids, row in zip(images.ids, rows, strict=True)],
        )
        height, width = np.maximum(gallery.images.shape[2:], people.images.shape[2:]).tolist()
        return _enlarged(gallery, height, width)._replace(query=_enlarged(people, height, width))


def _enlarged(batch: Batch, height: int, width: int) -> Batch:
    """The batch with its images padded with zeros to (height, width), on the right and below."""
    missing = width - batch.images.shape[3], height - batch.images.shape[2]
    if not any(missing):
        return batch
    padded = batch.images.new_zeros(*batch.images.shape[:2], height, width)
    padded[:, :, : batch.images.shape[2], : batch.images.shape[3]] = batch.images
    return batch._replace(images=padded)


def _weights(parameters: SearchTraining) -> dict[str, float]:
    assert parameters.query is not None
    added = {"query_proposals": parameters.query.proposals, "similarity": parameters.query.similarity}
    return {**parameters.weights.model_dump(), **added}


METHOD = SearchMethod(build_qeeps, QEEPSTask, _weights)
