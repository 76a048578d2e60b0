"""The trained networks of the second paper: what readers call them, how they were trained, in what they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from distillery.config.families import Target
from distillery.config.paper_job import METHOD_LABELS, TEACHING_LABELS, Teaching, variant_name
from distillery.config.paper_settings import Settings, changes, flat, unlike
from distillery.config.person_search import PersonSearch, SearchRun, Student
from distillery.config.search_distillation import LookUp

_NAMES = {"batch_norm": "BatchNorm", "detector": "detector KD"}
_CONDITIONS = ("queue", "batch_norm", "identities", "optimisation")
"""Settings that a gain over no teacher must share, or it would not be the teacher's."""


class Trained(NamedTuple):
    """One network trained in one way."""

    network: str
    name: str
    run: SearchRun
    student: Student

    @property
    def key(self) -> str:
        """`method/variant`, as in the paths of its results."""
        return f"{self.run.method}/{variant_name(self.network, self.name)}"

    @property
    def subject(self) -> str:
        """Method and network, as readers see them."""
        return f"{METHOD_LABELS[self.run.method]} {self.network}"

    @property
    def teaching(self) -> Teaching:
        """What it learns from."""
        table, detector = self.student.table is not None, self.student.detector is not None
        return "both" if table and detector else "table" if table else "detector" if detector else "plain"


def trained_networks(search: PersonSearch, target: Target) -> Iterator[Trained]:
    """The networks that a target shows: detectors first, then method by method and network by network, each in the
    order of the runs. The headline shows its own, the ablations all."""
    every = [
        Trained(network, name, run, student)
        for run in search.runs.values()
        if target == "ablations" or run.target == "headline"
        for network in run.networks
        for name, student in run.students.items()
    ]
    methods, networks = list(METHOD_LABELS), list(search.networks)
    yield from sorted(
        every,
        key=lambda one: (
            one.run.method != "detector",
            methods.index(one.run.method),
            networks.index(one.network),
            one.run.target != "headline",
        ),
    )


def table_label(search: PersonSearch, table: LookUp) -> str:
    """How readers see a look-up table: whose features, and how its rows were made of them."""
    if table.construction == "random":
        return "random rows"
    if table.teacher == "reid":
        teacher = "the re-ID network"
    else:
        taught = next(one for one in trained_networks(search, "ablations") if one.key == table.teacher)
        teacher = taught.subject
        if taught.teaching != "plain":
            teacher += f" + {TEACHING_LABELS[taught.teaching]}"
        if taught.run.optimisation.steps != _usual_steps(trained_networks(search, "headline"), taught):
            teacher += f" of {taught.run.optimisation.steps:,} steps"
    return f"{'means' if table.construction == 'mean' else 'final table'} of {teacher}"


def _usual_steps(headline: Iterable[Trained], one: Trained) -> int:
    """For how many steps the headline trains networks of a method; its own steps where the headline has none."""
    steps = (other.run.optimisation.steps for other in headline if other.run.method == one.run.method)
    return next(steps, one.run.optimisation.steps)


def row_label(search: PersonSearch, one: Trained, trained: list[Trained]) -> str:
    """ "OIM small + ID table (100 identities)": all that tells it from the headline's, from its settings."""
    if one.run.method == "detector":
        is_teacher = one.key == f"detector/{search.detection_teacher}"
        return f"detection teacher, {one.network}" if is_teacher else one.subject
    words: list[str] = []
    student, headline = one.student, [other for other in trained if other.run.target == "headline"]
    usual = {other.student.table for other in headline if other.run.method == one.run.method} or {
        other.student.table for other in headline
    }
    if student.table is not None and student.table not in usual:
        words.append(table_label(search, search.tables[student.table]))
    if student.table is not None and not student.frozen:
        words.append("updated")
    if student.detector is not None and set(student.detector.levels) != {"hint", "rpn", "rcnn"}:
        words.append(" + ".join(student.detector.levels))
    if student.queue not in (None, search.identification.queue):
        words.append(f"queue of {student.queue}" if student.queue else "no queue")
    if student.batch_norm not in (None, search.identification.batch_norm):
        words.append("BatchNorm" if student.batch_norm else "no BatchNorm")
    if student.identities is not None:
        words.append(f"{student.identities} identities")
    if one.run.optimisation.steps != _usual_steps(headline, one):
        words.append(f"{one.run.optimisation.steps:,} steps")
    # Settings that the words leave out must not make two rows look alike; the headline's keep the plain words.
    others = trained if one.run.target == "ablations" else headline
    told = {_words(search, other) for other in others if other is not one and other.subject == one.subject}
    if _words(search, one) in told:
        words = [one.name.replace("_", " ")]
    label = one.subject + (f" + {TEACHING_LABELS[one.teaching]}" if one.teaching != "plain" else "")
    return f"{label} ({', '.join(words)})" if words else label


def _words(search: PersonSearch, one: Trained) -> tuple[object, ...]:
    """The settings that a label tells."""
    student = one.student
    return (
        one.teaching,
        student.table,
        student.frozen if student.table else None,
        frozenset(student.detector.levels) if student.detector else None,
        search.identification.queue if student.queue is None else student.queue,
        search.identification.batch_norm if student.batch_norm is None else student.batch_norm,
        student.identities,
        one.run.optimisation.steps,
    )


def untaught(search: PersonSearch, one: Trained, trained: list[Trained]) -> Trained | None:
    """The same method and network without a teacher, under the same conditions."""
    if one.teaching == "plain":
        return None
    conditions = _conditions(search, one)
    return next(
        (
            other
            for other in trained
            if (other.run.method, other.network, other.teaching) == (one.run.method, one.network, "plain")
            and _conditions(search, other) == conditions
        ),
        None,
    )


def varied(search: PersonSearch, one: Trained, trained: list[Trained]) -> Trained | None:
    """The headline's student that this one varies: the same method and network, the fewest other settings."""
    same = [
        other
        for other in trained
        if other.run.target == "headline" and (other.run.method, other.network) == (one.run.method, one.network)
    ]
    mine = _settings(search, one)
    return min(same, key=lambda other: len(unlike(mine, _settings(search, other))), default=None)


def differences(search: PersonSearch, one: Trained, base: Trained) -> str:
    """ "queue 100 → 0, steps 500 → 1500"; what follows from the change of another setting is left out."""
    differing = unlike(_settings(search, one), _settings(search, base))
    if "table" in differing and None in differing["table"]:
        differing.pop("table updated", None)
    return ", ".join(changes(differing, ("detector",), _NAMES))


def _settings(search: PersonSearch, one: Trained) -> Settings:
    """What a network was trained with, with dotted names, defaults filled in."""
    student = one.student.model_dump(mode="json")
    detector = student.pop("detector")
    shared = {name: getattr(search.identification, name) for name in ("queue", "batch_norm")}
    student |= {name: value for name, value in shared.items() if student[name] is None}
    student["batch_norm"] = "yes" if student["batch_norm"] else "no"
    student["identities"] = student["identities"] or "all"
    frozen = student.pop("frozen")
    student["table updated"] = None if student["table"] is None else "no" if frozen else "yes"
    if student["table"] is not None:
        student["table"] = table_label(search, search.tables[student["table"]])
    taught: Settings = {"detector": None} if detector is None else {"detector": "yes"} | flat(detector, "detector")
    return flat(student) | taught | flat(one.run.optimisation.model_dump(mode="json"), "optimisation")


def _conditions(search: PersonSearch, one: Trained) -> Settings:
    return {name: value for name, value in _settings(search, one).items() if name.startswith(_CONDITIONS)}
