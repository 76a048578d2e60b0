"""Cuts a profile into the resolved parameters of single jobs, as plain data for `params:` of a rule."""

from __future__ import annotations

from typing import Any

from distillery.config import person_search as ps
from distillery.config import tracking as tr
from distillery.config.base import Section
from distillery.config.paper import from_profile
from distillery.config.profile import Profile


def _plain(section: Section) -> dict[str, Any]:
    return section.model_dump(mode="json")


def dataset(profile: Profile, benchmark: str) -> dict[str, Any]:
    """Parameters of `distillery dataset`."""
    return _plain(getattr(profile.data, benchmark))


def tracker_training(profile: Profile, run: str, seed: int) -> dict[str, Any]:
    """Parameters of `distillery train-trackers`: the run's own networks and nothing of the others."""
    tracking = profile.tracking
    spec = tracking.runs[run]
    return _plain(
        tr.TrackerTraining(
            seed=seed,
            compute=profile.compute,
            geometry=tracking.geometry,
            pairs=tracking.pairs,
            architectures={name: tracking.architectures[name] for name in spec.networks},
            distillation=spec.distillation,
            optimisation=spec.optimisation,
        )
    )


def track(profile: Profile) -> dict[str, Any]:
    """Parameters of `distillery track`."""
    return _plain(tr.TrackJob(compute=profile.compute, inference=profile.tracking.inference))


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
    return _plain(profile.compute)


def paper(profile: Profile, *, with_config: bool = False) -> dict[str, Any]:
    """Parameters of `distillery tables`, `figures` and (with the whole profile, to print it) `report`."""
    return _plain(from_profile(profile, with_config=with_config))
