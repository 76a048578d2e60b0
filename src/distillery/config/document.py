"""Writes docs/config.md from the types, so that every key is documented and no document is out of date.

`python -m distillery.config.document docs/config.md`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from distillery.config.base import Section
from distillery.config.profile import Profile
from distillery.files import write_text

_HEAD = """# The config

`config/<profile>.yaml` holds the facts of the experiments: `smoke` (the tests), `mini` (default) and `paper` (full
scale). `snakemake --configfile FILE` chooses one; `distillery config check FILE` checks one, and `distillery config
schema` prints the JSON schema. An unknown key or a wrong type is an error that names the key. Cores, memory and time
limits are not here: they belong to Snakemake profiles (`profiles/`).

A job gets the part that concerns it and nothing else: a changed value reruns the jobs that depend on it and no other.

This page is made from the types in `src/distillery/config/` by `python -m distillery.config.document docs/config.md`.
"""


def markdown() -> str:
    """The page: one table a section, sections in the order in which the profile reaches them."""
    sections = _sections(Profile, {})
    parts = [_HEAD]
    for section, paths in sections.items():
        where = ", ".join(f"`{path}`" for path in paths) or "top level"
        parts.append(f"## {section.__name__}\n\nAt {where}. {_sentence(section.__doc__)}\n")
        parts.append("| key | type | default | meaning |\n|---|---|---|---|")
        parts += [_row(name, field) for name, field in section.model_fields.items()]
        parts.append("")
    return "\n".join(parts)


def _sections(section: type[Section], found: dict[type[Section], list[str]], path: str = "") -> dict[Any, list[str]]:
    """Every section that `section` reaches, with the keys that lead to it."""
    paths = found.setdefault(section, [])
    if path:
        paths.append(path)
    for name, field in section.model_fields.items():
        for inner, suffix in _inner(field.annotation):
            _sections(inner, found, f"{path}.{name}{suffix}".removeprefix("."))
    return found


def _inner(annotation: Any) -> list[tuple[type[Section], str]]:
    """The sections in a type, with `.<name>` for those that lie in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [(annotation, "")]
    suffix = ".<name>" if get_origin(annotation) is dict else ""
    return [(inner, suffix + more) for argument in get_args(annotation) for inner, more in _inner(argument)]


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
    meaning = _sentence(field.description)
    return f"| `{name}` | {_type(field.annotation, field.metadata)} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if isinstance(value, Section):
        return "its defaults"
    return "absent" if value is None else f"`{json.dumps(value)}`"


def _type(annotation: Any, metadata: Any = ()) -> str:
    """A type in the words of someone who writes YAML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], arguments[1:])
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not NoneType)
    if origin is tuple:
        items = [argument for argument in arguments if argument is not Ellipsis]
        return f"list of {_type(items[0])}" if Ellipsis in arguments else f"list of {len(items)}: {_type(items[0])}"
    if origin is dict:
        return f"mapping of names to {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    words = {int: "integer", float: "number", str: "text", bool: "true or false"}
    return words.get(annotation, str(annotation)) + _bounds(metadata)


def _bounds(metadata: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    constraints = [constraint for item in metadata for constraint in getattr(item, "metadata", [item])]
    told = [
        f"{sign} {getattr(constraint, name):g}"
        for constraint in constraints
        for name, sign in signs.items()
        if getattr(constraint, name, None) is not None
    ]
    return " " + ", ".join(told) if told else ""


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main(arguments: list[str]) -> None:
    """Writes the page to the path given, or prints it."""
    if arguments:
        write_text(Path(arguments[0]), markdown())
    else:
        sys.stdout.write(markdown())


if __name__ == "__main__":
    main(sys.argv[1:])
