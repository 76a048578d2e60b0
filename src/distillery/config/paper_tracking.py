"""The first paper's rows and comparisons, from the families of trackers and their runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from distillery.config.families import Family, Target, TrackerRun
from distillery.config.paper_job import (
    FAMILY_LABELS,
    Comparison,
    Part,
    Question,
    Variant,
    baseline,
    run_label,
    variant_name,
)
from distillery.config.paper_settings import Settings, changes, flat, unlike
from distillery.config.tracking import Tracking

_UNTOLD = {"target", "recorded", "teacher"}
"""Settings of a run that are no variation: who asks for it, and how the teacher's words arrive."""

_SYMBOLS = {"distillation.lam": "lambda"}
_STRATEGIES = {"policy": "the policy", "random": "random search", "uniform": "one ratio for all layers", None: "hand"}
"""Who finds a network's channels, in words."""


class _Trained(NamedTuple):
    """One network trained in one run."""

    family: str
    network: str
    name: str
    run: TrackerRun

    @property
    def key(self) -> str:
        return f"{self.family}/{variant_name(self.network, self.name)}"

    @property
    def student(self) -> str:
        return f"{FAMILY_LABELS[self.family]} {self.network} student"


def tracking_part(tracking: Tracking, target: Target) -> Part:
    """Rows and comparisons of a target: the headline's own runs, or every run with the ablations compared.

    Headline, for each network: every distilled run with the first run without a teacher (gain) and with the teacher
    (gap), and a run with sharing with the one without (gain). Ablations: every run with the headline run that differs
    in the fewest settings (effect), distilled ones also with ground truth (gain); a control without a teacher is the
    subtrahend of the nearest distilled run, and channels that chance or one ratio chose are those of the policy's.
    """
    variants: list[Variant] = []
    comparisons: list[Comparison] = []
    for name, family in tracking.families.items():
        trained = list(_trained(name, family, target))
        # A family that stands in the ablations alone varies nothing: it is compared as a headline is.
        varies = any(one.run.target == "headline" for one in trained)
        variants += [_variant(family, one, trained) for one in trained]
        for one in trained:
            if target == "headline" or not varies:
                comparisons += _headline(family, one, trained)
            elif one.run.target == "ablations":
                comparisons += _ablation(family, one, trained)
    variants += [baseline(name) for name in tracking.baselines]
    return Part(benchmarks=tracking.benchmarks, variants=tuple(variants), comparisons=tuple(comparisons))


def _trained(name: str, family: Family, target: Target) -> Iterator[_Trained]:
    """Teachers first, then network by network, each in the order of the runs."""
    runs = {run: spec for run, spec in family.runs.items() if target == "ablations" or spec.target == "headline"}
    every = [_Trained(name, network, run, spec) for run, spec in runs.items() for network in spec.networks]
    networks = list(dict.fromkeys(one.network for one in every))
    yield from sorted(every, key=lambda one: (not _teaches(family, one.name), networks.index(one.network)))


def _teaches(family: Family, run: str) -> bool:
    return any(spec.teacher == run for spec in family.runs.values())


def _variant(family: Family, one: _Trained, trained: list[_Trained]) -> Variant:
    role: Literal["teacher", "distilled", "reference"] = (
        "teacher" if _teaches(family, one.name) else "distilled" if one.run.teacher else "reference"
    )
    head, network = FAMILY_LABELS[one.family], one.network.replace("_", " ")
    label = f"{head} {network}" if one.network == one.name else f"{head} {network}, {run_label(one.name)}"
    is_ablation = one.run.target == "ablations"
    varies = any(other.run.target == "headline" for other in trained)
    base = _base(family, one, trained) if is_ablation else None
    truth = _ground_truth(one, trained) if one.run.teacher else None
    return Variant(
        model=one.family,
        variant=variant_name(one.network, one.name),
        label=label,
        role=role,
        compared_with=_teacher_of(family, one),
        ground_truth=truth.key if truth else None,
        varies=base.key if base else None,
        changes=_changes(family, one, base) if base else "a network of its own" if varies and is_ablation else None,
    )


def _teacher_of(family: Family, one: _Trained) -> str:
    """The variant that sizes are divided by: the run's teacher, or the one of another run with this network."""
    teacher = one.run.teacher or next(
        (run.teacher for run in family.runs.values() if run.teacher and one.network in run.networks), None
    )
    if teacher is None and not _teaches(family, one.name):
        teacher = next((run.teacher for run in family.runs.values() if run.teacher), None)
    return one.key if teacher is None else f"{one.family}/{variant_name(family.runs[teacher].networks[0], teacher)}"


def _headline(family: Family, one: _Trained, trained: list[_Trained]) -> list[Comparison]:
    if one.run.teacher is None:
        return []
    found = []
    mine = [other for other in trained if other.network == one.network and other is not one]
    truth = _ground_truth(one, trained)
    alone = next((other for other in mine if other.run.distillation and not _shares(other.run)), None)
    if truth:
        found.append(_compare(one, truth, "gain", f"{_told(one)} trains a better {one.student} than {_told(truth)}"))
    if _shares(one.run) and alone:
        found.append(
            _compare(
                one,
                alone,
                "gain",
                f"with sharing ({_told(one)}) the {one.student} is better than without ({_told(alone)})",
            )
        )
    found.append(
        Comparison(
            minuend=one.key,
            subtrahend=_teacher_of(family, one),
            question="gap",
            statement=f"the {one.student} ({_told(one)}) is as accurate as its teacher",
        )
    )
    return found


def _ablation(family: Family, one: _Trained, trained: list[_Trained]) -> list[Comparison]:
    base = _base(family, one, trained)
    truth = _ground_truth(one, trained)
    found = []
    strategy = family.searched.get(one.network)
    if base and strategy and family.searched.get(base.network) != strategy:
        found.append(
            _compare(base, one, "gain", f"the policy finds a better {base.student} than {_STRATEGIES[strategy]}")
        )
    elif base and base is not truth:
        found.append(_compare(one, base, "effect", f"{one.student}: {_told(one)} instead of {_told(base)}"))
    if truth and truth is not one:
        if one.run.teacher:
            found.append(
                _compare(one, truth, "gain", f"{_told(one)} trains a better {one.student} than {_told(truth)}")
            )
        else:
            found.append(_compare(one, truth, "effect", f"{one.student}: {_told(one)} instead of {_told(truth)}"))
    if one.run.control:
        taught = _nearest(family, one, [o for o in trained if _is_plain(o, one.network)])
        if taught:
            found.append(
                _compare(taught, one, "gain", f"{_told(taught)} trains a better {one.student} than {_told(one)}")
            )
    return found


def _ground_truth(one: _Trained, trained: list[_Trained]) -> _Trained | None:
    """The same network without a teacher and without a control, whose optimisation is the nearest."""
    found = [
        other
        for other in trained
        if other.network == one.network and other.run.teacher is None and other.run.control is None and other is not one
    ]
    schedule = _settings(one.run, ("optimisation",))
    return min(found, key=lambda other: len(unlike(schedule, _settings(other.run, ("optimisation",)))), default=None)


def _is_plain(other: _Trained, network: str) -> bool:
    return other.network == network and other.run.teacher is not None and other.run.target == "headline"


def _compare(minuend: _Trained, subtrahend: _Trained, question: Question, statement: str) -> Comparison:
    return Comparison(minuend=minuend.key, subtrahend=subtrahend.key, question=question, statement=statement)


def _told(one: _Trained) -> str:
    return run_label(one.name)


def _shares(run: TrackerRun) -> bool:
    return run.distillation is not None and run.distillation.sharing is not None


def _base(family: Family, one: _Trained, trained: list[_Trained]) -> _Trained | None:
    """The headline run of which this one is a variation: the same network (or the one that the policy found in place
    of another strategy's) under the fewest other settings."""
    headline = [other for other in trained if other.run.target == "headline" and not _teaches(family, other.name)]
    same = [other for other in headline if other.network == one.network]
    if not same and one.network in family.searched:
        same = [other for other in headline if family.searched.get(other.network) == "policy"]
    return _nearest(family, one, same)


def _nearest(family: Family, one: _Trained, others: list[_Trained]) -> _Trained | None:
    return min(others, key=lambda other: len(_differing(one.run, other.run)), default=None)


def _settings(run: TrackerRun, sections: tuple[str, ...] = ()) -> Settings:
    """The settings of a run, or of some of its sections, with dotted names; networks count by their number."""
    plain = run.model_dump(mode="json")
    networks = plain.pop("networks")
    plain["students"] = len(networks) if _shares(run) else 1  # without sharing they do not know of each other
    plain["taught"] = run.teacher is not None
    chosen = sections or [name for name in plain if name not in _UNTOLD]
    return flat({name: plain[name] for name in chosen})


def _differing(run: TrackerRun, base: TrackerRun) -> dict[str, tuple[Any, Any]]:
    """Setting -> (of the base, of the run) where both differ."""
    return unlike(_settings(run), _settings(base))


def _changes(family: Family, one: _Trained, base: _Trained) -> str:
    """ "omega 100 → 0, lam 0.1 → 0"; whole sections that only one of the two has are named without their settings."""
    told = []
    if family.searched.get(one.network) != family.searched.get(base.network):
        told.append(f"channels by {_STRATEGIES[family.searched.get(one.network)]}")
    differing = _differing(one.run, base.run)
    differing.pop("taught", None)
    return ", ".join([*told, *changes(differing, ("distillation.sharing", "distillation"), _SYMBOLS)])
