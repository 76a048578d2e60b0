"""The second paper's rows and comparisons, from its half of the config."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.config.families import Target
from distillery.config.paper_job import TRUE_BOXES, Comparison, Part, Question, Variant, baseline, variant_name
from distillery.config.person_search import PersonSearch, tests
from distillery.config.search_rows import (
    Trained,
    differences,
    row_label,
    table_label,
    trained_networks,
    untaught,
    varied,
)

SEARCH_MEASURES, DETECTION_MEASURES, TRUE_BOX_MEASURES = ("map", "top1"), ("ap", "recall"), ("map_true", "top1_true")
"""What a comparison of searching, of detecting, and of re-identification alone is about."""

_SIZES = ("large", "small")
"""Network by its place in the config -> what published values call it."""


def search_part(search: PersonSearch, target: Target) -> Part:
    """Rows and comparisons of a target: the headline's own runs, or every run with the ablations compared.

    Headline, for each method and network: every taught student with the one without a teacher (gain, in search and in
    detection), the table with detector distillation (gain), a small network with the large one taught alike (gap), and
    students with their teachers (gap). Ablations: every student with the headline's from which it differs in the
    fewest settings (effect), with the one without a teacher under the same conditions (gain), and the table of a
    teacher with a table of random rows (gain). Without ablations of its own the part is empty there.
    """
    trained = list(trained_networks(search, target))
    if target == "ablations" and all(one.run.target == "headline" for one in trained):
        return Part()
    benchmarks: dict[str, str] = {
        name: trained_on for trained_on in search.benchmarks for name in tests(trained_on, "oim")
    }
    variants = [_variant(search, one, trained) for one in trained]
    reid = Variant(
        model="reid",
        variant="teacher",
        label="re-ID network, true boxes",
        role="teacher",
        compared_with="reid/teacher",
        true_boxes="reid/teacher" in TRUE_BOXES,
    )
    teachers = sum(one.run.method == "detector" for one in trained)
    variants = [*variants[:teachers], reid, *variants[teachers:], *(baseline(name) for name in search.baselines)]
    compare = _headline if target == "headline" else _ablation
    return Part(
        benchmarks=tuple(benchmarks),
        variants=tuple(variants),
        comparisons=tuple(comparison for one in trained for comparison in compare(search, one, trained)),
        trained_on=benchmarks,
        tables={name: table_label(search, table) for name, table in search.tables.items()},
    )


def _variant(search: PersonSearch, one: Trained, trained: list[Trained]) -> Variant:
    method, is_ablation = one.run.method, one.run.target == "ablations"
    teaches = one.key == f"detector/{search.detection_teacher}"
    base = varied(search, one, trained) if is_ablation else None
    plain = untaught(search, one, trained)
    same = [other for other in trained if (other.run.method, other.name) == (method, one.name)]
    sizes = dict(zip(search.networks, _SIZES, strict=False))
    sets = one.run.benchmarks or search.benchmarks
    return Variant(
        model=method,
        variant=variant_name(one.network, one.name),
        label=row_label(search, one, trained),
        role="teacher" if teaches else "reference" if one.teaching == "plain" else "distilled",
        compared_with=min(same, key=lambda other: list(search.networks).index(other.network)).key,
        ground_truth=plain.key if plain else None,
        teaching=None if method == "detector" else one.teaching,
        counterpart=None
        if is_ablation or one.network not in sizes
        else f"{method}/{sizes[one.network]}/{one.teaching}",
        benchmarks=tuple(name for trained_on in sets for name in tests(trained_on, method)),
        varies=base.key if base else None,
        changes=differences(search, one, base) if base else "a network of its own" if is_ablation else None,
    )


def _headline(search: PersonSearch, one: Trained, trained: list[Trained]) -> list[Comparison]:
    if one.run.method == "detector":
        return []
    mine = [other for other in trained if (other.run.method, other.network) == (one.run.method, one.network)]
    plain, found = untaught(search, one, trained), []
    how = _how(one)
    if plain:
        found += _both_ways(
            one, plain, f"{how} makes {one.subject} search better", f"{how} makes {one.subject} detect better"
        )
    detector = next((other for other in mine if other.teaching == "detector"), None)
    if one.teaching == "table" and detector:
        found.append(
            _compare(one, detector, "gain", f"the ID table helps {one.subject} more than detector KD", SEARCH_MEASURES)
        )
    table = next((other for other in mine if other.teaching == "table"), None)
    if one.teaching == "both" and table:
        found += _both_ways(
            one,
            table,
            f"{one.subject}, search: both instead of the ID table alone",
            f"{one.subject}, detection: both instead of the ID table alone",
            question="effect",
        )
    larger = next((o for o in trained if (o.run.method, o.name) == (one.run.method, one.name)), one)
    if larger is not one and one.teaching in ("plain", "table"):
        words = "without a teacher" if one.teaching == "plain" else f"with {how}"
        found.append(
            _compare(one, larger, "gap", f"{words} {one.subject} searches as well as {larger.subject}", SEARCH_MEASURES)
        )
    return found + list(_teachers(search, one, trained))


def _teachers(search: PersonSearch, one: Trained, trained: list[Trained]) -> Iterator[Comparison]:
    """Gaps to the teachers, each in what it taught."""
    if one.teaching == "detector":
        yield Comparison(
            minuend=one.key,
            subtrahend=f"detector/{search.detection_teacher}",
            question="gap",
            statement=f"with {_how(one)} {one.subject} detects as well as its detection teacher",
            measures=DETECTION_MEASURES,
        )
    table = search.tables[one.student.table] if one.teaching == "table" and one.student.table else None
    if table is None or table.construction == "random":
        return
    plain = untaught(search, one, trained)  # where it is the teacher itself, the gain says it all
    known = {other.key for other in trained}
    if table.teacher == "reid":
        yield Comparison(
            minuend=one.key,
            subtrahend="reid/teacher",
            question="gap",
            statement=f"on true boxes {one.subject} with {_how(one)} finds people as well as the teacher of the table",
            measures=TRUE_BOX_MEASURES,
        )
    elif table.teacher in known and table.teacher not in (one.key, plain.key if plain else None):
        yield Comparison(
            minuend=one.key,
            subtrahend=str(table.teacher),
            question="gap",
            statement=f"with {_how(one)} {one.subject} searches as well as the teacher of the table",
            measures=SEARCH_MEASURES,
        )


def _ablation(search: PersonSearch, one: Trained, trained: list[Trained]) -> list[Comparison]:
    if one.run.target == "headline":
        return []
    found: list[Comparison] = []
    base, plain = varied(search, one, trained), untaught(search, one, trained)
    label = row_label(search, one, trained)
    table = search.tables[one.student.table] if one.student.table else None
    is_control = table is not None and table.construction == "random"
    if base and is_control and base.teaching == one.teaching:
        statement = f"the teacher's rows help {one.subject} more than random rows"
        found.append(_compare(base, one, "gain", statement, SEARCH_MEASURES))
    elif base and base is not plain:
        told = f"{label} instead of {row_label(search, base, trained)}"
        found += _both_ways(one, base, f"search: {told}", f"detection: {told}", question="effect")
    if plain:
        over = row_label(search, plain, trained)
        if is_control:
            found.append(_compare(one, plain, "effect", f"search: {label} instead of {over}", SEARCH_MEASURES))
        else:
            found += _both_ways(
                one, plain, f"{label} searches better than {over}", f"{label} detects better than {over}"
            )
    return found


def _both_ways(
    one: Trained, other: Trained, searching: str, detecting: str, *, question: Question = "gain"
) -> list[Comparison]:
    return [
        _compare(one, other, question, searching, SEARCH_MEASURES),
        _compare(one, other, question, detecting, DETECTION_MEASURES),
    ]


def _compare(
    minuend: Trained, subtrahend: Trained, question: Question, statement: str, measures: tuple[str, ...]
) -> Comparison:
    return Comparison(
        minuend=minuend.key, subtrahend=subtrahend.key, question=question, statement=statement, measures=measures
    )


def _how(one: Trained) -> str:
    return {"table": "the ID table", "detector": "detector KD", "both": "detector KD with the ID table"}.get(
        one.teaching, "no teacher"
    )
