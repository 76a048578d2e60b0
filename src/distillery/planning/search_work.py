"""Work of the second paper's jobs, from the profile's resolved parameters."""

from __future__ import annotations

from collections.abc import Sequence

from distillery.config.person_search import PersonSearch, tests
from distillery.config.profile import Profile
from distillery.config.search_network import ResNetShape
from distillery.config.training import Optimisation
from distillery.planning.datasets import frames_of, labelled_boxes, megapixels_of, protocol_of
from distillery.planning.estimates import Estimates
from distillery.planning.networks import SearcherParts, searcher
from distillery.planning.work import Work, checkpoint_mb, training_mb

STORE_MB = 1100
"""Decoded images that a job keeps (`distillery.person_search.dataset.CACHE_BYTES`)."""
TEST = 1
"""Place of the test's number in the config's pairs of numbers for training and test."""
DETECTIONS = 8
"""People found in an image, of whom a feature is kept; CUHK-SYSU has 5.3 annotated in an image, PRW 3."""
AT_A_TIME = 8
"""Images that a network sees at a time on a GPU (`distillery.person_search.inference.BATCH`)."""


def training(profile: Profile, estimates: Estimates, trained_on: str, run: str, network: str, seeds: int) -> Work:
    """Training of a run's students on one network and set; the detection teacher looks at each batch once."""
    search = profile.person_search
    spec = search.runs[run]
    parts = searcher(estimates, search.networks[network])
    taught = [student for student in spec.students.values() if student.detector]
    images = 2 if spec.method == "qeeps" else 1
    work = _training(profile, estimates, parts, spec.optimisation, len(spec.students), seeds, images)
    if taught and search.detection_teacher:
        teacher = searcher(estimates, search.networks[search.detection_teacher.split("-")[0]])
        examples = work.amounts["images"]
        regions = search.regions.batch * len(taught)
        work = work._replace(
            macs=work.macs + examples * (_look(search, teacher) + regions * teacher.region),
            calls=work.calls + spec.optimisation.steps * seeds,
            gpu_memory_mb=work.gpu_memory_mb + checkpoint_mb(teacher.parameters),
        )
    guidance = parts.guidance if spec.method == "qeeps" else 0.0
    one = checkpoint_mb(parts.parameters + guidance)
    one += estimates.searchers.table_mb.value if spec.method != "detector" else 0.0
    pixels = megapixels_of(profile, estimates, trained_on)
    return work._replace(
        core_seconds=work.amounts["images"] * images * pixels * estimates.reading.megapixel.value,
        disk_mb=seeds * len(spec.students) * one,
    )


def pretraining(profile: Profile, estimates: Estimates, network: str) -> Work:
    """Training of the weights from which a backbone starts."""
    search = profile.person_search
    assert search.pretraining is not None
    parts = searcher(estimates, search.networks[network])
    work = _training(profile, estimates, parts, search.pretraining.optimisation, 1, 1, 1)
    return work._replace(kind="pretrain", disk_mb=checkpoint_mb(parts.parameters))


def reid_training(profile: Profile, estimates: Estimates, trained_on: str, seeds: int) -> Work:
    """Training of the network on crops; the images are read once."""
    teacher = profile.person_search.reid_teacher
    parts, plan = searcher(estimates, teacher.shape), teacher.optimisation
    crops = float(plan.steps * plan.batch * seeds)
    pixels = megapixels_of(profile, estimates, trained_on)
    return Work(
        "train_reid",
        {"steps": plan.steps * seeds, "crops": crops},
        gpu=True,
        macs=estimates.devices.training.value * parts.crop * crops,
        calls=2 * plan.steps * seeds,
        core_seconds=_train_images(profile, estimates, trained_on) * pixels * estimates.reading.megapixel.value
        + crops * estimates.reading.tracked_frame.value,
        memory_mb=estimates.devices.base_memory_mb.value + STORE_MB,
        gpu_memory_mb=1000 + training_mb(parts.parameters, parts.activations_mb / 30, plan.batch),
        disk_mb=seeds * checkpoint_mb(parts.parameters),
    )


def lookup(profile: Profile, estimates: Estimates, trained_on: str, table: str, seeds: int) -> Work:
    """Features of all labelled boxes of the training images, or none of a random table."""
    search = profile.person_search
    teacher = str(search.tables[table].teacher or "")
    images, boxes = (
        _train_images(profile, estimates, trained_on),
        labelled_boxes(profile, estimates, trained_on),
    )
    if search.tables[table].construction == "random":
        images = boxes = 0.0
    shape = search.reid_teacher.shape if teacher == "reid" else _shape_of(search, teacher)
    parts = searcher(estimates, shape)
    per_box = parts.crop if teacher == "reid" else parts.region
    per_image = 0.0 if teacher == "reid" else parts.stem * _pixels(search)
    read = images * megapixels_of(profile, estimates, trained_on) * estimates.reading.megapixel.value
    return Work(
        "lookup",
        {"images": seeds * images, "boxes": seeds * boxes},
        gpu=True,
        macs=seeds * (images * per_image + boxes * per_box),
        calls=seeds * 2 * images,
        core_seconds=seeds * read,
        memory_mb=estimates.devices.base_memory_mb.value + STORE_MB,
        gpu_memory_mb=3000.0,
        disk_mb=seeds * 6.0,
    )


def searching(
    profile: Profile, estimates: Estimates, trained_on: str, method: str, variants: Sequence[str], seeds: int
) -> Work:
    """Networks (or the histogram) on a set's test images; QEEPS looks at every pair of query and gallery image."""
    search = profile.person_search
    rows = [protocol_of(profile, estimates, test) for test in tests(trained_on, method)]
    gallery, queries = max(row.gallery for row in rows), sum(row.queries for row in rows)
    pairs = sum(row.pairs for row in rows) if method == "qeeps" else 0.0
    read = (gallery + queries) * megapixels_of(profile, estimates, trained_on) * estimates.reading.megapixel.value
    shapes = [search.reid_teacher.shape if method == "reid" else _shape_of(search, variant) for variant in variants]
    parts = [searcher(estimates, shape) for shape in shapes] if method != "baseline" else []
    passes = (gallery + queries) / AT_A_TIME + pairs / AT_A_TIME
    features = {"qeeps": 0.0, "detector": 0.0}.get(method, 1.0)
    disk = gallery * DETECTIONS * (features * 1.1e-3 + 3e-5) + pairs * 3 * 2e-5
    runs = seeds * max(1, len(variants))
    return Work(
        "search",
        {"images": runs * gallery, "queries": runs * queries, "pairs": runs * pairs},
        gpu=method != "baseline",
        macs=seeds * sum(_macs(search, one, method, gallery, queries, pairs) for one in parts),
        calls=runs * 3 * passes,
        core_seconds=runs * read + (30e-3 * gallery * DETECTIONS if method == "baseline" else 0.0),
        memory_mb=estimates.devices.base_memory_mb.value + STORE_MB + 2 * disk,
        gpu_memory_mb=8000.0 if method != "baseline" else 0.0,
        disk_mb=runs * disk,
    )


def _macs(
    search: PersonSearch, parts: SearcherParts, method: str, gallery: float, queries: float, pairs: float
) -> float:
    if method == "reid":  # features of annotated boxes
        return (gallery * DETECTIONS + queries) * parts.crop
    regions = search.proposals.post_nms[TEST]
    everywhere = gallery * (_look(search, parts) + (regions + DETECTIONS) * parts.region)
    asked = queries * (_pixels(search) * parts.stem + parts.region)
    guided = pairs * (_look(search, parts) + (search.query.post_nms or regions) * parts.region)
    return everywhere + asked + guided


def _training(
    profile: Profile,
    estimates: Estimates,
    parts: SearcherParts,
    plan: Optimisation,
    students: int,
    seeds: int,
    images: int,
) -> Work:
    search = profile.person_search
    steps, batch = plan.steps, plan.batch
    examples = float(steps * batch * seeds)
    forward = images * _look(search, parts) + search.regions.batch * parts.region
    # Bytes for gradients go with pixels and regions alike; they were counted for the published settings.
    size = (_pixels(search) / (800 * 608)) * (search.regions.batch / 128) ** 0.5
    return Work(
        "train_search",
        {"steps": steps * seeds, "images": examples},
        gpu=True,
        macs=estimates.devices.training.value * forward * examples * students,
        calls=4.0 * steps * seeds * students,
        memory_mb=estimates.devices.base_memory_mb.value + STORE_MB + 4 * students * checkpoint_mb(parts.parameters),
        gpu_memory_mb=1000
        + students * training_mb(parts.parameters, (1 + 0.6 * (images - 1)) * size * parts.activations_mb, batch),
    )


def _look(search: PersonSearch, parts: SearcherParts) -> float:
    """Stem and proposal network on an image."""
    return _pixels(search) * (parts.stem + parts.proposals)


def _pixels(search: PersonSearch) -> float:
    """Pixels of a resized image, of an aspect of 4 to 3."""
    shorter = search.resize.shorter
    return shorter * min(shorter * 4 / 3, search.resize.longer)


def _shape_of(search: PersonSearch, variant: str) -> ResNetShape:
    """Shape of a network by `large-oim` or `oim/large-oim`; of a table without teacher the first network's."""
    return search.networks.get(variant.split("/")[-1].split("-")[0]) or next(iter(search.networks.values()))


def _train_images(profile: Profile, estimates: Estimates, trained_on: str) -> float:
    """Images of a set's training part."""
    return protocol_of(profile, estimates, trained_on).train or frames_of(profile, estimates, trained_on)
