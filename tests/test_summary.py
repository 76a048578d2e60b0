from __future__ import annotations

from typing import Any

import pytest

from distillery.summary import lines

METRICS: dict[str, Any] = {"numbers": {"eao": 0.25, "robustness": None}, "counts": {"sequences": 2}}


def test_numbers_and_counts() -> None:
    expected = ["eao: 0.2500", "robustness: not defined", "sequences: 2"]
    assert list(lines(METRICS)) == expected
    assert list(lines(METRICS | {"note": "two are short"})) == [*expected, "note: two are short"]


@pytest.mark.parametrize(("source", "notes"), [("official", 0), ("eao_interval.txt", 0), ("derived", 1)])
def test_the_interval_of_expected_overlap(source: str, notes: int) -> None:
    said = list(lines(METRICS | {"interval": {"low": 46, "high": 291, "source": source}}))
    assert f"eao interval: 46 to 291 frames ({source})" in said
    assert sum(line.startswith("note: the EAO interval is derived") for line in said) == notes
