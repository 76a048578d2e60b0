"""How every section of the config behaves: strict types, no unknown key, errors that name the nearest valid one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from distillery.errors import UserError


class Section(BaseModel):
    """A frozen, strictly typed section; the string under each field is its documentation and its schema description."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


S = TypeVar("S", bound=Section)
MOST_VALUES = 100_000
"""Values that a config may hold; the largest of ours holds some thousands."""


def parse(section: type[S], value: Any, *, source: str) -> S:
    """Checks `value` (as YAML or JSON reads it) against `section`.

    Args:
        section: The type to check against.
        value: Nested dicts, lists and scalars.
        source: What to call the input in an error (a file name, "--params").

    Raises:
        UserError: Naming the first faulty key, what was found and, for an unknown key, the nearest valid one.
    """
    try:
        _refuse_bombs(value)
        # JSON mode is strict about types yet takes arrays for tuples, which is how YAML writes them.
        return section.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise _explain(section, error, source) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"holds a value that is not plain data ({error})",
            file=source,
            remedy="use only mappings, lists, numbers, strings and booleans",
        ) from None


def _refuse_bombs(value: Any) -> None:
    """Aliases of YAML cost nothing to read, but JSON writes each out: nine nested nines are 400 million values."""
    pending, seen = [value], 0
    while pending:
        one = pending.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values, aliases counted where they stand")
        if isinstance(one, Mapping):
            pending += one.values()
        elif isinstance(one, list | tuple):
            pending += one


def parse_json(section: type[S], text: str, *, source: str = "--params") -> S:
    """`parse` for a JSON string, as jobs receive their parameters."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # not JSON, a number of thousands of digits, or nested too deep
        reason = getattr(error, "msg", "a number or a nesting is too large")
        raise UserError(f"is not valid JSON ({reason})", file=source, remedy="pass the rule's params") from None
    return parse(section, value, source=source)


def parse_tagged(sections: Mapping[str, type[S]], tag: str, text: str, *, source: str = "--params") -> S:
    """`parse_json` where the value of one key says which section it is.

    Args:
        sections: Section by value of the key.
        tag: The key.
        text: JSON of an object.
        source: What to call the input in an error.
    """
    try:
        value = json.loads(text)
        name = value.get(tag) if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        return parse_json(next(iter(sections.values())), text, source=source)  # which says what is wrong with it
    if not isinstance(name, str) or name not in sections:
        raise UserError(
            f"is {name!r}, not one of {', '.join(sections)}", file=source, place=tag, remedy="pass the rule's params"
        )
    return parse_json(sections[name], text, source=source)


def fault_at(place: tuple[str, ...], problem: str, found: Any) -> ValidationError:
    """What a validator of a section raises when the fault lies deeper than the section itself.

    Args:
        place: Keys that lead from the section to the fault.
        problem: What is wrong.
        found: What stands there.
    """
    kind = PydanticCustomError("value_error", "{problem}", {"problem": problem})
    return ValidationError.from_exception_data("config", [InitErrorDetails(type=kind, loc=place, input=found)])


def _explain(section: type[Section], error: ValidationError, source: str) -> UserError:
    # Unknown keys come first: a misspelt key also makes the right one "missing", and the misspelling is the cause.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    key = ".".join(str(part) for part in fault["loc"]) or "the whole document"
    if fault["type"] == "extra_forbidden":
        valid = _fields_at(section, fault["loc"][:-1])
        near = difflib.get_close_matches(str(fault["loc"][-1]), valid, n=1, cutoff=0.0)
        return UserError(
            "unknown key", file=source, place=key, remedy=f"did you mean `{near[0]}`" if near else "remove it"
        )
    if fault["type"] == "missing":
        return UserError("a required key is missing", file=source, place=key, remedy="add it (see docs/config.md)")
    found = json.dumps(fault["input"], default=str)
    found = found if len(found) <= 60 else found[:57] + "..."
    message = fault["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return UserError(
        f"{message} (found {found})", file=source, place=key, remedy="correct the value (see docs/config.md)"
    )


def _fields_at(section: type[Section], path: tuple[int | str, ...]) -> list[str]:
    """Field names of the section that `path` leads to; union tags on the way are skipped."""
    current: Any = section
    for part in path:
        if get_origin(current) is dict:  # `part` is a name that the user chose; it may equal a field's name
            current = get_args(current)[1]
            continue
        for candidate in _sections_in(current):
            if isinstance(part, str) and part in candidate.model_fields:
                current = candidate.model_fields[part].annotation
                break
    return [name for candidate in _sections_in(current) for name in candidate.model_fields]


def _sections_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _sections_in(argument)]
