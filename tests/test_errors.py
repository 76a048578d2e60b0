from __future__ import annotations

import copy
import pickle
from pathlib import Path

from distillery.errors import UserError


def test_one_sentence_with_file_place_and_remedy() -> None:
    error = UserError("has 3 values, 4 are expected", file=Path("a/b.txt"), place="line 7", remedy="correct the file")
    assert str(error) == "a/b.txt, line 7: has 3 values, 4 are expected; correct the file."


def test_parts_may_be_absent() -> None:
    assert str(UserError("is absent", file="x", remedy="get it")) == "x: is absent; get it."
    assert str(UserError("is wrong", place="--out", remedy="mend it")) == "--out: is wrong; mend it."
    assert str(UserError("nothing works", remedy="try again")) == "nothing works; try again."


def test_the_parts_stay_readable() -> None:
    error = UserError("p", file=Path("f"), place="l", remedy="r")
    assert (error.problem, error.file, error.place, error.remedy) == ("p", "f", "l", "r")


def test_crosses_process_borders() -> None:
    """Worker processes hand their exceptions over by pickle."""
    error = UserError("p", file=Path("f"), place="l", remedy="r")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(other) == str(error)
