"""Work of the first paper's jobs, from the profile's resolved parameters."""

from __future__ import annotations

from collections.abc import Sequence

from distillery.config.families import Family
from distillery.config.paper import variant_name
from distillery.config.profile import Profile
from distillery.planning.datasets import frames_of, megapixels_of
from distillery.planning.estimates import Estimates
from distillery.planning.networks import TrackerCost, tracker
from distillery.planning.work import Work, checkpoint_mb, small, training_mb

SAMPLER_MB = 1500
"""Crops that a sampler keeps (`distillery.tracking.pairs.CACHE_BYTES`)."""
SHRUNK = 0.3
"""Operations of an average child of a search over its teacher's: E[r r'] is 0.3025 for actions 0.1, 0.2 … 1."""
OBJECTS, SHARD_CROP_MB = 1.5, 0.021
"""Labelled objects in an image, estimated; a quarter of a gigabyte holds 12,000 crops (`config.pairs.Shards`)."""
RESULT_MB = 3.0e-5
"""A row of a result file."""


def training(profile: Profile, estimates: Estimates, family: str, run: str, seeds: int) -> Work:
    """Training of a run's networks, under one teacher if it has one."""
    chosen = profile.tracking.families[family]
    spec = chosen.runs[run]
    plan = spec.optimisation
    students = [tracker(estimates, family, chosen, name) for name in spec.networks]
    teacher = None
    if spec.teacher and not spec.recorded:
        teacher = tracker(estimates, family, chosen, chosen.runs[spec.teacher].networks[0])
    pairs = float(plan.steps * plan.batch * seeds)
    macs = estimates.devices.training.value * sum(one.pair for one in students) + (teacher.pair if teacher else 0.0)
    parameters = sum(one.parameters for one in students)
    gpu_mb = sum(training_mb(one.parameters, one.activations_mb, plan.batch) for one in students)
    return Work(
        "train_trackers",
        {"steps": plan.steps * seeds, "pairs": pairs},
        gpu=True,
        macs=macs * pairs,
        calls=plan.steps * seeds * (2 * len(students) + (1 if teacher else 0)),
        core_seconds=pairs * pair_seconds(profile, estimates, chosen),
        overlapped=profile.compute.threads > 1,
        memory_mb=estimates.devices.base_memory_mb.value + SAMPLER_MB + 4 * checkpoint_mb(parameters),
        gpu_memory_mb=1000 + gpu_mb + (checkpoint_mb(teacher.parameters) if teacher else 0.0),
        disk_mb=seeds * checkpoint_mb(parameters),
    )


def recording(profile: Profile, estimates: Estimates, family: str, teacher_run: str, seeds: int) -> Work:
    """A teacher's answers to all batches of the runs that learn from a recording."""
    chosen = profile.tracking.families[family]
    plan = next(iter(chosen.recorded(teacher_run).values())).optimisation
    teacher = tracker(estimates, family, chosen, chosen.runs[teacher_run].networks[0])
    pairs = float(plan.steps * plan.batch * seeds)
    return Work(
        "record_teacher",
        {"steps": plan.steps * seeds, "pairs": pairs},
        gpu=True,
        macs=teacher.pair * pairs,
        calls=plan.steps * seeds,
        core_seconds=pairs * pair_seconds(profile, estimates, chosen),
        overlapped=profile.compute.threads > 1,
        memory_mb=estimates.devices.base_memory_mb.value + SAMPLER_MB,
        gpu_memory_mb=1000 + checkpoint_mb(teacher.parameters) + 0.2 * teacher.activations_mb * plan.batch,
        disk_mb=0.1 * pairs,
    )


def selection(profile: Profile, estimates: Estimates, family: str, strategy: str) -> Work:
    """A search for students: its children are trained from scratch on a fixed set of pairs, one thread each."""
    chosen = profile.tracking.families[family]
    settings = chosen.selection
    assert settings is not None
    teacher = tracker(estimates, family, chosen, next(iter(chosen.architectures)))
    children = 2 if strategy == "uniform" else settings.updates * settings.children + 1
    plan = settings.optimisation
    pairs = float(children * plan.steps * plan.batch)
    together = min(profile.compute.threads, settings.children)
    return Work(
        "select_students",
        {"children": children, "steps": children * plan.steps, "pairs": pairs},
        gpu=True,
        macs=estimates.devices.training.value * SHRUNK * teacher.pair * pairs,
        calls=2 * children * plan.steps / together,
        core_seconds=pairs * estimates.reading.kept_pair.value / together,
        memory_mb=together * (estimates.devices.base_memory_mb.value + SAMPLER_MB),
        gpu_memory_mb=together * (1000 + training_mb(teacher.parameters, teacher.activations_mb, plan.batch)),
    )


def crops(profile: Profile, estimates: Estimates, family: str) -> Work:
    """Crops of the training set, made once for all jobs of a family."""
    frames = frames_of(profile, estimates, "got10k")
    side = profile.tracking.families[family].geometry.train_search * 1.3
    return small(estimates, "crop_clips", frames, disk_mb=frames * side * side * 3e-6)


def shards(profile: Profile, estimates: Estimates, family: str) -> Work:
    """Crops of several training sets in files of many, made by all cores."""
    names = [source.name for source in profile.tracking.families[family].pairs.sources]
    images = sum(frames_of(profile, estimates, name) for name in names)
    pixels = sum(frames_of(profile, estimates, name) * megapixels_of(profile, estimates, name) for name in names)
    work = small(estimates, "crop_shards", images, disk_mb=images * OBJECTS * SHARD_CROP_MB)
    read = pixels * estimates.reading.megapixel.value
    return work._replace(core_seconds=work.core_seconds + read, overlapped=True)


def tracking(
    profile: Profile, estimates: Estimates, family: str, variant: str, names: Sequence[str], seeds: int
) -> Work:
    """A tracker on benchmarks."""
    chosen = profile.tracking.families[family]
    cost = tracker(estimates, family, chosen, _network_of(chosen, variant))
    frames = seeds * sum(frames_of(profile, estimates, name) for name in names)
    decoded = seeds * sum(frames_of(profile, estimates, n) * megapixels_of(profile, estimates, n) for n in names)
    reading = estimates.reading
    return Work(
        "track",
        {"frames": frames},
        gpu=True,
        macs=frames * cost.frame,
        calls=frames,
        core_seconds=decoded * reading.megapixel.value + frames * reading.tracked_frame.value,
        memory_mb=estimates.devices.base_memory_mb.value + 2 * checkpoint_mb(cost.parameters),
        gpu_memory_mb=1500 + 2 * checkpoint_mb(cost.parameters),
        disk_mb=frames * RESULT_MB,
    )


def part(whole: Work, named: str) -> Work:
    """Work of one of the equally long parts of a benchmark.

    Args:
        whole: Of the whole.
        named: The part, `2-of-4`.
    """
    parts = int(named.rpartition("-of-")[2])
    return whole._replace(
        amounts={name: amount / parts for name, amount in whole.amounts.items()},
        macs=whole.macs / parts,
        calls=whole.calls / parts,
        core_seconds=whole.core_seconds / parts,
        disk_mb=whole.disk_mb / parts,
    )


def trivial_tracking(profile: Profile, estimates: Estimates) -> Work:
    """A trivial tracker on all benchmarks; a correlation over a patch takes a few times a crop."""
    names = profile.tracking.benchmarks
    frames = sum(frames_of(profile, estimates, name) for name in names)
    decoded = sum(frames_of(profile, estimates, name) * megapixels_of(profile, estimates, name) for name in names)
    seconds = decoded * estimates.reading.megapixel.value + 5 * frames * estimates.reading.tracked_frame.value
    return Work("track", {"frames": frames}, core_seconds=seconds, memory_mb=1500.0, disk_mb=frames * RESULT_MB)


def pair_seconds(profile: Profile, estimates: Estimates, family: Family) -> float:
    """Core seconds of reading and augmenting a pair: from frames, from kept crops, or from files of crops."""
    reading = estimates.reading
    if getattr(family.pairs, "sources", ()):
        return reading.kept_pair.value + 2 * reading.decoded_crop.value
    if family.stored_crops:
        return reading.kept_pair.value
    return reading.kept_pair.value + 2 * megapixels_of(profile, estimates, "got10k") * reading.megapixel.value


def cost_of_variant(estimates: Estimates, family_name: str, family: Family, variant: str) -> TrackerCost:
    """Cost of the network of a variant (`dim-tsskd`)."""
    return tracker(estimates, family_name, family, _network_of(family, variant))


def _network_of(family: Family, variant: str) -> str:
    return next(
        network
        for run, spec in family.runs.items()
        for network in spec.networks
        if variant_name(network, run) == variant
    )
