"""Building the look-up table of a training set's identities from a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distillery.config.search_jobs import LookUpJob, ReIDTraining
from distillery.engine.checkpoint import load_sidecar
from distillery.engine.devices import prepare
from distillery.errors import UserError
from distillery.files import sha256_of_file
from distillery.person_search.checkpoints import TEACHERS, parameters_of, student_of
from distillery.person_search.lookup import mean_rows, random_rows, save_table
from distillery.person_search.splits import training_split
from distillery.person_search.table_quality import against_rows, between_rows, held_out, mean_cosine
from distillery.person_search.teachers import final_rows, teacher_features

MEASURED = {
    "mean": "top1: every training crop against the table that it is part of; held_out_top1: each crop of an identity "
    "with several against the table made without it; the teacher was trained on all of them",
    "final": "top1: every training crop, as the trained teacher describes it, against the teacher's own table, which "
    "its features entered while it trained; to_mean: its rows against the means of these crops; nothing was held out",
    "random": "the rows alone",
}
"""What a table's quality was measured on, by construction."""


def build_table(parameters: LookUpJob, manifest: Path, teacher: Path | None, out: Path) -> None:
    """Writes the look-up table of a dataset's training identities, and beside it how well it tells them apart.

    Args:
        parameters: Of the job.
        manifest: `….json` of a dataset with a training part, which lies in the folder of the same name.
        teacher: Checkpoint of the re-ID teacher, a network on crops, OIM or QEEPS; random rows do without.
        out: Table to write; the sidecar lies beside it.

    Raises:
        UserError: If the dataset or the teacher is missing or does not fit.
    """
    device = prepare(parameters.compute)
    split = training_split(manifest)
    construction = parameters.table.construction
    inputs = {"data": sha256_of_file(manifest)}
    described: dict[str, Any] = {}
    if construction == "random":
        rows = random_rows(split.identities, _length(parameters, teacher), parameters.seed)
        quality = between_rows(rows)
    else:
        if teacher is None:
            raise UserError(f"the {construction} table needs a re-ID teacher", file=out, remedy="pass --teacher")
        _check_length(parameters, teacher)
        inputs["teacher"] = sha256_of_file(teacher)
        final = final_rows(teacher, split, inputs["data"]) if construction == "final" else None
        features, ids = teacher_features(teacher, split, device)
        means = mean_rows(features, ids, split.identities)
        rows = means if final is None else final
        quality = {**between_rows(rows), **against_rows(rows, features, ids)}
        own = held_out(features, ids, split.identities) if final is None else {"to_mean": mean_cosine(rows, means)}
        quality |= own
        described = {"features": len(features)}
    sidecar = {
        "construction": construction,
        "parameters": parameters.model_dump(mode="json"),
        "inputs": inputs,
        **described,
        "quality": quality,
        "measured": MEASURED[construction],
    }
    save_table(out, rows, sidecar)


def _length(parameters: LookUpJob, teacher: Path | None) -> int:
    """Length of random rows: the given one, or that of the teacher's features."""
    if parameters.dimension is not None:
        return parameters.dimension
    if teacher is None:
        raise UserError("random rows need a length", place="dimension", remedy="set it to identification.dimension")
    return _dimension(teacher)


def _check_length(parameters: LookUpJob, teacher: Path) -> None:
    """Before anything is computed: a student compares its features with the rows."""
    length = _dimension(teacher)
    if parameters.dimension not in (None, length):
        raise UserError(
            f"makes features of length {length}, the table is to have {parameters.dimension}",
            file=teacher,
            remedy="train the teacher with the student's identification.dimension",
        )


def _dimension(teacher: Path) -> int:
    """Length of a teacher's features."""
    sidecar, trained = load_sidecar(teacher, kind=TEACHERS), parameters_of(teacher)
    if isinstance(trained, ReIDTraining):
        return trained.dimension
    identification = student_of(teacher, sidecar, trained).identification
    assert identification is not None
    return identification.dimension
