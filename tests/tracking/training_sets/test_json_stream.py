"""A large JSON document read in pieces is the document that the standard library reads at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distillery.errors import UserError
from distillery.tracking.training_sets import json_stream
from distillery.tracking.training_sets.json_stream import items

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(file: Path, text: str | bytes, *arrays: str) -> list[tuple[str, Any]]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(items(file, arrays, remedy="restore it"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=st.fixed_dictionaries({"a": st.lists(VALUES, max_size=4), "b": VALUES, "c": st.lists(VALUES, max_size=4)}),
    chunk=st.integers(1, 9),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_it_agrees_with_the_standard_library(
    document: dict[str, Any], chunk: int, indent: int | None, ascii_only: bool, tmp_path: Path
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    before, json_stream.CHUNK = json_stream.CHUNK, chunk
    try:
        found = read(tmp_path / "a.json", text, "a", "c")
    finally:
        json_stream.CHUNK = before
    assert found == [(key, item) for key in document if key in "ac" for item in document[key]]


def test_numbers_at_the_end_of_a_piece_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 1)
    assert read(tmp_path / "a.json", '{"a": [123456, -7.5e3]}', "a") == [("a", 123456), ("a", -7500.0)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a": [1, 2',
        '{"a": [1 2]}',
        '{"a": [1, 2]',
        '{"a": {"b": 1}}',
        '{"a": [1]} {"a": [2]}',
        "{1: []}",
        '{"a": [1,]}',
        '{"a": [{"b": "',
        '{"a": ["' + "x" * 50 + "",
        '{"a": [' + "[" * 100_000,
        b'{"a": ["\xff\xfe"]}',
    ],
)
def test_what_is_no_such_document_is_named(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(UserError, match=r"a\.json.*character \d+.*restore it"):
        read(tmp_path / "a.json", text, "a")
    with pytest.raises(UserError, match="cannot be read"):
        list(items(tmp_path / "none.json", ("a",), remedy="restore it"))


def test_an_endless_item_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_ITEM", 1000)
    monkeypatch.setattr(json_stream, "CHUNK", 100)
    with pytest.raises(UserError, match="goes on for more than 1000 characters"):
        read(tmp_path / "a.json", '{"a": ["' + "x" * 100_000 + '"]}', "a")
