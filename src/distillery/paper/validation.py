"""Checks the shape of what other stages wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distillery.errors import UserError

Number = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """A part of a file: strict about what is used, silent about the rest, since other stages may add to their files."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


R = TypeVar("R", bound=BaseModel)


def validate(record: type[R], value: Any, path: Path, remedy: str, place: str | None = None) -> R:
    """`value`, read from `path`, as a record.

    Raises:
        UserError: Naming the file, the place in it and the remedy.
    """
    try:
        return record.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join([*([place] if place else []), *(str(part) for part in fault["loc"])])
        problem = "a required key is missing" if fault["type"] == "missing" else fault["msg"].lower()
        raise UserError(problem, file=path, place=where or None, remedy=remedy) from None
