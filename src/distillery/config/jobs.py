"""Cuts a profile into the resolved parameters of single jobs, as plain data for `params:` of a rule."""

from __future__ import annotations

from typing import Any

from distillery.config import search_jobs as sj
from distillery.config import tracking as tr
from distillery.config.base import Section
from distillery.config.distillation import Distillation
from distillery.config.families import Target, pretrained_files, recording_of
from distillery.config.pairs import Shards
from distillery.config.paper import from_profile, variant_name
from distillery.config.person_search import PersonSearch, Pretraining, Student
from distillery.config.profile import Profile
from distillery.config.profiling import Inference, Profiling
from distillery.config.search_network import Identification, ResNetShape
from distillery.config.selection import SelectionJob
from distillery.config.shards import shard_job
from distillery.config.training import Optimisation


def _plain(section: Section) -> dict[str, Any]:
    return section.model_dump(mode="json")


def dataset(profile: Profile, benchmark: str) -> dict[str, Any]:
    """Parameters of `distillery dataset`."""
    return _plain(getattr(profile.data, benchmark))


def crops(profile: Profile, family: str) -> dict[str, Any]:
    """Parameters of `distillery crop-clips`."""
    chosen = profile.tracking.families[family]
    sizes = {name: getattr(chosen.geometry, name) for name in ("exemplar", "train_search", "context")}
    return _plain(tr.CropJob(family=family, pairs=chosen.pairs, **sizes))


def shards(profile: Profile, family: str) -> dict[str, Any] | None:
    """Parameters of `distillery crop-shards`; None for a family that learns from GOT-10k's clips."""
    chosen = profile.tracking.families[family]
    if not chosen.pairs.sources:
        return None
    shape = chosen.geometry
    return _plain(shard_job(chosen.pairs, shape.exemplar, shape.train_search, shape.context))


def tracker_training(profile: Profile, family: str, run: str, seed: int) -> dict[str, Any]:
    """Parameters of `distillery train-trackers`: the run's own networks and nothing of the others."""
    chosen = profile.tracking.families[family]
    spec = chosen.runs[run]
    described = {name: chosen.architectures[name] for name in spec.networks if name in chosen.architectures}
    return _training(
        profile,
        family,
        seed=seed,
        networks=spec.networks,
        architectures=described,
        distillation=spec.distillation,
        control=spec.control,
        optimisation=spec.optimisation,
    )


def teacher_recording(profile: Profile, family: str, teacher: str, seed: int) -> dict[str, Any]:
    """Parameters of `distillery record-teacher`: what the runs that share the recording have in common."""
    chosen = profile.tracking.families[family]
    spec = next(iter(chosen.recorded(teacher).values()))
    assert spec.distillation is not None
    shared = recording_of(spec)
    return _training(
        profile,
        family,
        seed=seed,
        networks=chosen.runs[teacher].networks,
        architectures={},
        distillation=Distillation(layers=shared["layers"], template=shared["template"]),
        optimisation=Optimisation(steps=shared["steps"], batch=shared["batch"]),
    )


def _training(profile: Profile, family: str, **own: Any) -> dict[str, Any]:
    chosen = profile.tracking.families[family]
    shared = {name: getattr(chosen, name) for name in ("pairs", "geometry", "labels") if hasattr(chosen, name)}
    made = _plain(tr.TRAININGS[family](family=family, compute=profile.compute, **shared, **own))
    for name, file in pretrained_files(own["architectures"]).items():
        made["architectures"][name]["pretraining"]["weights"] = file
    return made


def selection(profile: Profile, family: str, strategy: str, teacher: str) -> dict[str, Any]:
    """Parameters of `distillery select-students`: one search with the first seed."""
    chosen = profile.tracking.families[family]
    assert chosen.selection is not None
    labels = getattr(chosen, "labels", None)
    return _plain(
        SelectionJob.model_validate(
            {
                "seed": profile.seeds[0],
                "compute": profile.compute,
                "family": family,
                # The search rates its children on GOT-10k, whatever the family is trained on.
                "pairs": chosen.pairs.model_copy(update={"sources": (), "shards": Shards()}),
                "geometry": _plain(chosen.geometry),
                "labels": _plain(labels) if labels else {},
                "teacher": _plain(chosen.architectures[chosen.runs[teacher].networks[0]]),
                "selection": chosen.selection.model_copy(update={"strategy": strategy}),
            }
        )
    )


def track(profile: Profile, family: str | None = None) -> dict[str, Any]:
    """Parameters of `distillery track`; trivial trackers have no family."""
    inference = profile.tracking.families[family].inference if family else None
    return _plain(tr.TrackJob(compute=profile.compute, inference=inference))


def reid_training(profile: Profile, seed: int) -> dict[str, Any]:
    """Parameters of `distillery train-reid`."""
    search = profile.person_search
    return _plain(
        sj.ReIDTraining(
            seed=seed,
            compute=profile.compute,
            dimension=search.identification.dimension,
            teacher=search.reid_teacher.model_copy(update={"shape": search.reid_teacher.shape.begun()}),
        )
    )


def lookup(profile: Profile, table: str, seed: int) -> dict[str, Any]:
    """Parameters of `distillery lookup`."""
    search = profile.person_search
    return _plain(
        sj.LookUpJob(
            seed=seed,
            compute=profile.compute,
            table=search.tables[table],
            dimension=search.identification.dimension,
        )
    )


def pretraining_data(profile: Profile) -> dict[str, Any]:
    """Parameters of `distillery dataset` for the set on which person-search backbones are pre-trained."""
    return _plain(_pretraining(profile).data)


def backbone(profile: Profile, network: str) -> ResNetShape:
    """Shape of a person-search network, with the weights that it starts from."""
    search = profile.person_search
    shape = search.networks[network]
    if search.pretraining is None or network not in search.pretraining.networks:
        return shape.begun()
    file = f"checkpoints/{profile.profile}/person_search/pretraining/{network}.safetensors"
    return shape.model_copy(update={"pretrained": file})


def pretraining(profile: Profile, network: str) -> dict[str, Any]:
    """Parameters of `distillery train-search` for the weights that a backbone starts from."""
    search, spec = profile.person_search, _pretraining(profile)
    shape = search.networks[network].model_copy(update={"norm": "batch"})
    return _plain(
        sj.SearchTraining(
            seed=spec.seed,
            compute=profile.compute,
            method="oim",
            resize=search.resize,
            proposals=search.proposals,
            regions=search.regions,
            weights=search.weights,
            students={network: sj.StudentJob(shape=shape, identification=search.identification)},
            optimisation=spec.optimisation,
        )
    )


def _pretraining(profile: Profile) -> Pretraining:
    spec = profile.person_search.pretraining
    if spec is None:
        raise KeyError("the profile pre-trains no backbone")
    return spec


def search_training(profile: Profile, run: str, network: str, seed: int) -> dict[str, Any]:
    """Parameters of `distillery train-search`: a run's students on one of its networks."""
    search = profile.person_search
    spec = search.runs[run]
    # How many queries are searched for later has no part in training.
    untested = search.query.model_copy(update={"queries": None, "gallery_size": None})
    students = {
        variant_name(network, name): sj.StudentJob(
            shape=backbone(profile, network),
            identification=None if spec.method == "detector" else _identification(search, student),
            frozen=student.frozen,
            identities=student.identities,
            detector=student.detector,
        )
        for name, student in spec.students.items()
    }
    return _plain(
        sj.SearchTraining(
            seed=seed,
            compute=profile.compute,
            method=spec.method,
            resize=search.resize,
            proposals=search.proposals,
            regions=search.regions,
            weights=search.weights,
            query=untested if spec.method == "qeeps" else None,
            students=students,
            optimisation=spec.optimisation,
        )
    )


def _identification(search: PersonSearch, student: Student) -> Identification:
    own = {name: getattr(student, name) for name in ("queue", "batch_norm") if getattr(student, name) is not None}
    return search.identification.model_copy(update=own)


def search(profile: Profile, method: str, *, true_boxes: bool = False) -> dict[str, Any]:
    """Parameters of `distillery search`."""
    query = profile.person_search.query if method == "qeeps" else None
    return _plain(
        sj.SearchJob(
            compute=profile.compute,
            true_boxes=true_boxes,
            queries=query.queries if query else None,
            gallery_size=query.gallery_size if query else None,
        )
    )


def profiling(profile: Profile) -> dict[str, Any]:
    """Parameters of `distillery profile-networks`."""
    settings = {name: family.inference for name, family in profile.tracking.families.items()}
    return _plain(Profiling(**dict(profile.compute), inference=Inference(**settings)))


def paper(profile: Profile, target: Target, *, with_config: bool = False) -> dict[str, Any]:
    """Parameters of `distillery tables`, `figures` and (with the whole profile, to print it) `report`."""
    return _plain(from_profile(profile, target=target, with_config=with_config))
