from __future__ import annotations

import pytest

from distillery.config.base import Section, parse_json, parse_tagged
from distillery.errors import UserError


class One(Section):
    """A section of one number."""

    kind: str = "one"
    """Its tag."""
    size: int
    """A number."""


HOSTILE = [
    pytest.param("{oops", id="no JSON"),
    pytest.param(f'{{"size": {"9" * 5000}}}', id="5000 digits"),
    pytest.param("[" * 100_000, id="deep"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_json_is_told_in_one_sentence(text: str) -> None:
    for parse in (lambda: parse_json(One, text), lambda: parse_tagged({"one": One}, "kind", text)):
        with pytest.raises(UserError, match=r"^--params: is not valid JSON \(.*\); pass the rule's params\.?$"):
            parse()


def test_an_unknown_tag_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"--params, kind: is 'two', not one of one"):
        parse_tagged({"one": One}, "kind", '{"kind": "two"}')
    assert parse_tagged({"one": One}, "kind", '{"kind": "one", "size": 3}').size == 3
