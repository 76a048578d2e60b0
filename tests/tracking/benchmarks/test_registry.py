from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from distillery.errors import UserError
from distillery.tracking.benchmarks import registry
from distillery.tracking.benchmarks.vot_table import SEQUENCES


@pytest.mark.parametrize("name", registry.BENCHMARKS)
def test_every_module_offers_both_functions(name: str, tmp_path: Path) -> None:
    module = import_module(registry.BENCHMARKS[name])
    assert all(callable(getattr(module, function)) for function in ("load", "expected"))
    with pytest.raises(UserError, match="does not exist; pass the folder that holds"):
        registry.load(name, tmp_path / "none", need_frames=False)


@pytest.mark.parametrize("name", registry.SERVER_SETS)
def test_test_sets_can_be_loaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist; pass the folder that holds"):
        registry.load(name, tmp_path / "none")
    with pytest.raises(UserError, match="unknown tracking benchmark"):
        registry.expected(name, tmp_path)


def test_one_call_for_all(tmp_path: Path, write_otb: Callable[..., Path]) -> None:
    root = write_otb(tmp_path / "root")
    assert [sequence.name for sequence in registry.load("otb100", root)] == registry.expected("otb100", root)
    assert registry.modules("vot2018", "vot2019", "otb100") == [
        "distillery.tracking.benchmarks.otb100",
        "distillery.tracking.benchmarks.vot",
    ]


def test_a_set_of_the_wrong_year_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "VOT2018.json").write_text('{"ants1": {"gt_rect": [[1, 2, 3, 4]]}}')
    assert registry.expected("vot2018", tmp_path) == ["ants1"]
    assert registry.expected("vot2019", tmp_path) == list(SEQUENCES["vot2019"])
    with pytest.raises(UserError, match=r"agility, ants1, ball2 and 57 more \(60\) of VOT2019's 60 sequences are not"):
        registry.load("vot2019", tmp_path, need_frames=False)


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown tracking benchmark 'uav123'; choose one of otb100, dtb70, "):
        registry.load("uav123", tmp_path)
