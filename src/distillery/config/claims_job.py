"""What `distillery claims` is told of a profile: each claim with its networks, or why it cannot be tested."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from distillery.config.base import Section
from distillery.config.claims import (
    Claim,
    Contrast,
    Extent,
    Gain,
    Ledger,
    Paper,
    Par,
    Ratio,
    Rules,
    Statement,
    Untestable,
    load,
)
from distillery.config.families import Target
from distillery.config.paper import from_profile
from distillery.config.paper_job import Part
from distillery.config.profile import Profile

SHARED = Path(__file__).resolve().parents[3] / "config" / "claims.yaml"
"""The claims of this checkout."""


class ClaimJob(Section):
    """A claim with the networks of a profile."""

    id: str
    """Name."""
    paper: Paper
    """Which of the two papers."""
    statement: str
    """The claim in words."""
    published: tuple[Statement, ...]
    """What is published of it."""
    test: Annotated[Gain | Par | Ratio, Field(discriminator="kind")] | None = None
    """How it is tested; None where nothing is."""
    contrasts: tuple[Contrast, ...] = ()
    """Differences of networks that the profile trains, as `model/variant`."""
    premise: Contrast | None = None
    """A difference that must be above 0."""
    benchmarks: tuple[str, ...] = ()
    """Benchmarks of the profile."""
    measure: str | None = None
    """Measure; absent is the first of each benchmark."""
    averaged: bool = False
    """Whether a contrast's test is the mean over the benchmarks."""
    extent: Extent
    """What can be tested."""
    because: str
    """Why no more, or what holds of all that is tested."""
    lacking: tuple[str, ...] = ()
    """Networks of the claim that the profile does not train, so that it cannot be shown whole."""
    command: str | None = None
    """What tests it, where that is another target."""


class ClaimsJob(Section):
    """Parameters of `distillery claims`."""

    profile: str
    """Name of the profile."""
    target: Target
    """Headline or ablations."""
    seeds: tuple[int, ...]
    """Seeds of the run."""
    rules: Rules
    """What all tests share."""
    scale: str
    """What the profile can test of any claim, in words."""
    claims: tuple[ClaimJob, ...]
    """The claims, in order."""
    labels: dict[str, str]
    """`model/variant` -> how readers see it."""
    published: dict[str, str]
    """`model/variant` -> the name under which published values are quoted, where that is another."""
    baselines: dict[Paper, tuple[str, ...]]
    """Paper -> its trivial methods."""


def claims(profile: Profile, target: Target, ledger: Ledger | None = None) -> dict[str, Any]:
    """Parameters of the job.

    Args:
        profile: The whole config.
        target: The headline lists every claim; the ablations judge those of whose networks they train one.
        ledger: The claims, by default this checkout's.
    """
    ledger = ledger or load(SHARED)
    first, varied = from_profile(profile).parts, from_profile(profile, target="ablations").parts
    variants = [variant for parts in (first, varied) for part in parts.values() for variant in part.variants]
    judged = []
    for claim in ledger.claims:
        here, every = _keys(first[claim.paper]), _keys(first[claim.paper]) | _keys(varied[claim.paper])
        if target == "headline" or set(_arms(claim)) & (every.keys() - here.keys()):
            known = _Known(every, here if target == "headline" else every, first[claim.paper].benchmarks)
            judged.append(_claim(claim, known, ledger, profile))
    arms = {arm for one in judged for pair in _pairs(one) for arm in pair.plus + pair.minus}
    job = ClaimsJob(
        profile=profile.profile,
        target=target,
        seeds=profile.seeds,
        rules=ledger.rules,
        scale=ledger.scales[_scale(profile, ledger)].because,
        claims=tuple(judged),
        labels={v.key: v.label for v in variants if v.key in arms or v.role == "baseline"},
        published={v.key: v.counterpart for v in variants if v.counterpart and v.key in arms},
        baselines={
            "tracking": tuple(f"baseline/{name}" for name in profile.tracking.baselines),
            "person_search": tuple(f"baseline/{name}" for name in profile.person_search.baselines),
        },
    )
    return job.model_dump(mode="json")


class _Known(NamedTuple):
    """Networks by the name that claims call them, and benchmarks."""

    every: dict[str, str]
    """Of the profile."""
    here: dict[str, str]
    """Of the target."""
    benchmarks: tuple[str, ...]


def _keys(part: Part) -> dict[str, str]:
    return {variant.counterpart or variant.key: variant.key for variant in part.variants}


def _pairs(claim: Claim | ClaimJob) -> list[Contrast]:
    return [*claim.contrasts, *filter(None, [claim.premise])]


def _arms(claim: Claim) -> list[str]:
    return [arm for pair in _pairs(claim) for arm in pair.plus + pair.minus]


def _scale(profile: Profile, ledger: Ledger) -> str:
    """The scale of a profile: its own, or, of a profile of the user's, that of the shipped one with such data."""
    if profile.profile in ledger.scales:
        return profile.profile
    sources = {getattr(getattr(profile.data, name), "source", None) for name in profile.data.names}
    return "mini" if "embedded" in sources else "paper"


def _claim(claim: Claim, known: _Known, ledger: Ledger, profile: Profile) -> ClaimJob:
    scale = _scale(profile, ledger)
    general, own = ledger.scales[scale], claim.at.get(scale)
    extent, because = (general if own is None or general.tests == "nothing" else own).tests, general.because
    if own is not None and general.tests != "nothing":
        because = own.because
    if isinstance(claim.test, Untestable):
        extent = "nothing"
    lacking = list(dict.fromkeys(arm for arm in _arms(claim) if arm not in known.here))
    contrasts = tuple(_with_keys(pair, known.here) for pair in claim.contrasts if _has(pair, lacking))
    command = None
    if extent != "nothing" and not _testable(claim, lacking):
        unknown = [arm for arm in lacking if arm not in known.every]
        extent, because = "nothing", f"the profile trains no {' and no '.join(unknown)}"
        if _testable(claim, unknown):
            because, command = "its networks are the ablations'", f"snakemake --cores 2 ablations{_config(profile)}"
    tested = extent != "nothing"
    return ClaimJob(
        id=claim.id,
        paper=claim.paper,
        statement=claim.statement,
        published=claim.published,
        test=claim.test if tested and not isinstance(claim.test, Untestable) else None,
        contrasts=contrasts if tested else (),
        premise=_with_keys(claim.premise, known.here) if claim.premise and tested else None,
        benchmarks=tuple(name for name in claim.benchmarks or known.benchmarks if name in known.benchmarks),
        measure=claim.measure,
        averaged=claim.averaged,
        extent=extent,
        because=because,
        lacking=tuple(lacking) if tested else (),
        command=command,
    )


def _testable(claim: Claim, lacking: list[str]) -> bool:
    """Whether anything of a claim can be tested without some networks."""
    return any(_has(pair, lacking) for pair in claim.contrasts) and (
        claim.premise is None or _has(claim.premise, lacking)
    )


def _has(pair: Contrast, lacking: list[str]) -> bool:
    return not set(pair.plus + pair.minus) & set(lacking)


def _with_keys(pair: Contrast, keys: dict[str, str]) -> Contrast:
    plus, minus = (tuple(keys[arm] for arm in arms) for arms in (pair.plus, pair.minus))
    return Contrast(plus=plus, minus=minus, provided=pair.provided)


def _config(profile: Profile) -> str:
    return "" if profile.profile == "mini" else f" --configfile config/{profile.profile}.yaml"
