"""The items of the arrays of a large JSON document, one by one: COCO's annotations need 450 MB as text, and ten times
that as Python objects.

Only the outermost level is walked here; every item is parsed by the standard library.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from distillery.errors import UserError

CHUNK = 1 << 20
"""Bytes read at a time."""
MAX_ITEM = 64 << 20
"""Characters of one item: what is longer is no annotation."""
_SPACE = " \t\n\r"
_AFTER = {*_SPACE, ",", ":", "]", "}"}
"""What follows a value."""


def items(file: Path, arrays: Collection[str], *, remedy: str) -> Iterator[tuple[str, Any]]:
    """(key, item) of the named arrays of the object that a document is; other values are parsed and passed over.

    Args:
        file: UTF-8 JSON, whose outermost value is an object.
        arrays: Keys of arrays.
        remedy: For errors.

    Raises:
        UserError: If the file is missing, truncated, or not such JSON.
    """
    try:
        with file.open("rb") as stream:
            yield from _Walker(stream, file, remedy).items(arrays)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=file, remedy=remedy) from error


class _Walker:
    def __init__(self, stream: Any, file: Path, remedy: str) -> None:
        self._stream, self._file, self._remedy = stream, file, remedy
        self._decoder = json.JSONDecoder()
        self._text_of = codecs.getincrementaldecoder("utf-8-sig")()
        self._buffer, self._at, self._ended, self._passed = "", 0, False, 0

    def items(self, arrays: Collection[str]) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        if self._peek() == "}":
            self._at += 1
        else:
            while True:
                key = self._value()
                if not isinstance(key, str):
                    raise self._fault("has a key that is no string")
                self._expect(":")
                if key in arrays:
                    for item in self._array():
                        yield key, item
                else:
                    self._value()
                if self._expect(",", "}") == "}":
                    break
        if self._peek():
            raise self._fault("goes on after its end")

    def _array(self) -> Iterator[Any]:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._expect(",", "]") == "]":
                return

    def _value(self) -> Any:
        """The value that begins here; more is read until it is whole."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except (ValueError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError):
                    raise self._fault(f"is truncated or not valid JSON ({getattr(error, 'msg', error)})") from error
            else:
                # A number may go on in the next chunk ("0" in "0.5").
                if self._ended or self._buffer[end : end + 1] in _AFTER:
                    self._at = end
                    return value
            if len(self._buffer) - self._at > MAX_ITEM:
                raise self._fault(f"is not valid JSON (a value goes on for more than {MAX_ITEM} characters)")
            self._more(len(self._buffer) - self._at)

    def _peek(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _SPACE:
                    return self._buffer[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def _expect(self, *characters: str) -> str:
        found = self._peek()
        if found not in characters:
            what = repr(found) if found else "the end"
            raise self._fault(f"is truncated or not valid JSON ({' or '.join(characters)} expected, not {what})")
        self._at += 1
        return found

    def _more(self, least: int = 0) -> None:
        """Reads on, at least as much again as an item has so far, so that a long one is not parsed over and over."""
        data = self._stream.read(max(CHUNK, least))
        self._ended = not data
        try:
            text = self._text_of.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._fault("is not UTF-8 text") from error
        self._passed += self._at
        self._buffer, self._at = self._buffer[self._at :] + text, 0

    def _fault(self, problem: str) -> UserError:
        place = f"character {self._passed + self._at + 1}"
        return UserError(problem, file=self._file, place=place, remedy=self._remedy)
