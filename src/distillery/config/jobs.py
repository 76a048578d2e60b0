"""Cuts a profile into the resolved parameters of single jobs, as plain data for `params:` of a rule."""

from __future__ import annotations

from typing import Any

from distillery.config import person_search as ps
from distillery.config import tracking as tr
from distillery.config.base import Section
from distillery.config.distillation import Distillation
from distillery.config.families import Target, recording_of
from distillery.config.paper import from_profile
from distillery.config.profile import Profile
from distillery.config.profiling import Inference, Profiling
from distillery.config.selection import SelectionJob
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
    return _plain(tr.TRAININGS[family](family=family, compute=profile.compute, **shared, **own))


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
                "pairs": chosen.pairs,
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
        ps.ReIDTraining(
            seed=seed,
            compute=profile.compute,
            dimension=search.identification.dimension,
            teacher=search.reid_teacher,
        )
    )


def lookup(profile: Profile, table: str, seed: int) -> dict[str, Any]:
    """Parameters of `distillery lookup`."""
    search = profile.person_search
    return _plain(
        ps.LookUpJob(
            seed=seed,
            compute=profile.compute,
            table=search.tables[table],
            dimension=search.identification.dimension,
        )
    )


def search_training(profile: Profile, network: str, run: str, seed: int) -> dict[str, Any]:
    """Parameters of `distillery train-search`."""
    search = profile.person_search
    return _plain(
        ps.SearchTraining(
            seed=seed,
            compute=profile.compute,
            resize=search.resize,
            shape=search.networks[network],
            proposals=search.proposals,
            regions=search.regions,
            identification=search.identification,
            weights=search.weights,
            optimisation=search.runs[run].optimisation,
        )
    )


def search(profile: Profile, *, true_boxes: bool = False) -> dict[str, Any]:
    """Parameters of `distillery search`."""
    return _plain(ps.SearchJob(compute=profile.compute, true_boxes=true_boxes))


def profiling(profile: Profile) -> dict[str, Any]:
    """Parameters of `distillery profile-networks`."""
    settings = {name: family.inference for name, family in profile.tracking.families.items()}
    return _plain(Profiling(**dict(profile.compute), inference=Inference(**settings)))


def paper(profile: Profile, target: Target, *, with_config: bool = False) -> dict[str, Any]:
    """Parameters of `distillery tables`, `figures` and (with the whole profile, to print it) `report`."""
    return _plain(from_profile(profile, target=target, with_config=with_config))
