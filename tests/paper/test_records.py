"""Missing and malformed inputs are one sentence with file, place and remedy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distillery.errors import UserError
from distillery.paper.costs import check_sizes, read_compute, read_sidecars
from distillery.paper.logs import read_curves
from distillery.paper.lookups import read_lookups
from distillery.paper.maps import read_maps
from distillery.paper.origin import origin_of
from distillery.paper.records import Result, read_metrics
from distillery.paper.searches import read_searches

GOOD = {"benchmark": "otb100", "protocol": "ope", "model": "m", "variant": "v", "seed": 0, "numbers": {"auc": 0.5}}


def _write(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("{", "line 1"),
        ("[]", ""),
        ({**GOOD, "seed": "0"}, "seed"),
        ({**GOOD, "seed": -1}, "seed"),
        ({**GOOD, "numbers": {"auc": "high"}}, "numbers.auc"),
        (
            '{"benchmark": "b", "protocol": "p", "model": "m", "variant": "v", "seed": 0, "numbers": {"auc": NaN}}',
            "auc",
        ),
        ({key: value for key, value in GOOD.items() if key != "protocol"}, "protocol"),
        ({**GOOD, "by_gallery_size": {"many": {}}}, "by_gallery_size.many"),
        ({**GOOD, "curves": {"success": [0.1, None]}}, "curves.success.1"),
        ({**GOOD, "interval": {"low": 0, "high": 9}}, "interval.low"),
        ({**GOOD, "by_attribute": {"OCC": 0.5}}, "by_attribute.OCC"),
    ],
)
def test_malformed_metrics(tmp_path, value, place):
    path = _write(tmp_path / "seed0.json", value)
    with pytest.raises(UserError) as caught:
        read_metrics([path])
    assert str(path) in str(caught.value)
    assert place in str(caught.value)
    assert caught.value.remedy


def test_missing_metrics_and_none_at_all(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_metrics([tmp_path / "absent.json"])
    with pytest.raises(UserError, match="no metrics"):
        read_metrics([])


def test_two_files_of_one_result(tmp_path):
    first, second = _write(tmp_path / "a.json", GOOD), _write(tmp_path / "b.json", GOOD)
    with pytest.raises(UserError, match=r"same benchmark, variant and seed as .*a\.json"):
        read_metrics([first, second])


@pytest.mark.parametrize(
    "networks", ["[]", "{}", '{"a/b": {"parameters": 1}}', '{"a/b": {"parameters": -1, "bytes": 4}}']
)
def test_malformed_compute(tmp_path, networks):
    path = _write(tmp_path / "compute.json", f'{{"convention": "", "machine": {{}}, "networks": {networks}}}')
    with pytest.raises(UserError, match=r"networks.*profile-networks"):
        read_compute(path)
    with pytest.raises(UserError, match="convention"):
        read_compute(_write(tmp_path / "compute.json", {}))


def test_sidecars_of_tables_are_passed_over_and_seeds_must_agree(tmp_path):
    folder = tmp_path / "checkpoints" / "tracking" / "siamfc" / "dim"
    files = [_write(folder / f"seed{k}.json", {"parameter_count": 10 + k, "bytes": 40 + 4 * k}) for k in (0, 1)]
    table = _write(tmp_path / "person_search" / "prw" / "lookup" / "reid" / "seed0.json", {"kind": "lookup"})
    assert list(read_sidecars([files[0], table])) == ["siamfc/dim"]
    with pytest.raises(UserError, match="11 parameters, another seed of siamfc/dim has 10"):
        read_sidecars(files)


def test_a_compute_profile_of_other_networks_is_refused(tmp_path):
    networks = {"siamfc/dim": {"parameters": 9, "bytes": 36}}
    content = {"convention": "batch 1", "machine": {"device": "cpu"}, "networks": networks}
    compute = read_compute(_write(tmp_path / "compute.json", content))
    side = _write(tmp_path / "tracking" / "siamfc" / "dim" / "seed0.json", {"parameter_count": 10, "bytes": 40})
    with pytest.raises(UserError, match="counts 9 parameters, the checkpoint has 10"):
        check_sizes(compute, read_sidecars([side]), tmp_path / "compute.json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ('{"step": 0, "loss": 1}\n{"step": 1, "lo', "line 2"),
        ('{"step": 0, "loss": 1}\n{"step": 1}', "line 2"),
        ("[1]", "line 1"),
    ],
)
def test_malformed_curves(tmp_path, text, problem):
    path = _write(tmp_path / "tracking" / "siamfc" / "dim" / "seed0.jsonl", text)
    with pytest.raises(UserError, match=problem):
        read_curves([path])


@pytest.mark.parametrize("path", ["seed0.json", "a/b/c/best.json", "a/b/c/seedx.json"])
def test_a_path_that_names_no_training(path):
    with pytest.raises(UserError, match="does not say whose training"):
        origin_of(Path(path))


def test_networks_of_two_training_sets_are_two_networks(tmp_path):
    folder = tmp_path / "checkpoints" / "mini" / "person_search"
    files = [
        _write(folder / name / "reid" / "teacher" / "seed0.json", {"parameter_count": 10 + k, "bytes": 40})
        for k, name in enumerate(("cuhk_sysu", "prw"))
    ]
    sidecars = read_sidecars(files)
    assert {name: sidecar.parameter_count for name, sidecar in sidecars.items()} == {
        "cuhk_sysu/reid/teacher": 10,
        "prw/reid/teacher": 11,
    }
    curves = [_write(path.with_suffix(".jsonl"), '{"step": 0, "loss": 1}') for path in files]
    assert [(o.paper, o.trained_on, o.key) for o in read_curves(curves)] == [
        ("person_search", "cuhk_sysu", "reid/teacher"),
        ("person_search", "prw", "reid/teacher"),
    ]
    # Predictions are named after the benchmark, not after the training set.
    found = origin_of(Path("results/mini/predictions/prw_mini/oim/large-oim/seed1.npz"))
    assert (found.paper, found.trained_on, found.network, found.seed) == ("prw_mini", None, "oim/large-oim", 1)


def test_lookup_tables_are_told_from_networks(tmp_path):
    folder = tmp_path / "person_search" / "cuhk_sysu"
    good = {"kind": "lookup", "identities": 3, "dimension": 4, "construction": "mean", "quality": {"top1": 0.5}}
    table = _write(folder / "lookup" / "reid" / "seed0.json", good)
    network = _write(folder / "oim" / "large-oim" / "seed0.json", {"kind": "oim", "parameter_count": 1, "bytes": 4})
    ((origin, lookup),) = read_lookups([network, table]).items()
    assert (origin.trained_on, origin.variant, lookup.quality) == ("cuhk_sysu", "reid", {"top1": 0.5})
    with pytest.raises(UserError, match=r"distillery lookup"):
        read_lookups([_write(table, good | {"quality": {"top1": "high"}})])


def test_search_on_true_boxes_is_a_number_of_its_own():
    def result(model, variant, **own):
        head = {"benchmark": "cuhk_sysu", "protocol": "official", "model": model, "variant": variant, "seed": 0}
        return Result.model_validate(head | {"numbers": {"map": 0.4}} | own)

    assert result("oim", "large-oim", on_true_boxes={"map": 0.6}).value("map_true") == 0.6
    assert result("oim", "large-oim").value("map_true") is None
    # These are given the boxes anyway.
    assert result("reid", "teacher").value("map_true") == 0.4
    assert result("baseline", "histogram").value("map_true") == 0.4


SEARCH = {
    "kind": "siamfc", "strategy": "policy", "channels": [3], "parameters": 7, "size_ratio": 14.0, "reward": 0.5,
    "accuracy": 0.4, "teacher_accuracy": 0.6, "budget": 13, "visited": [{"update": 0, "reward": 0.5}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"strategy": "guess"}, "strategy"),
        ({"size_ratio": 0}, "size_ratio"),
        ({"visited": [{"update": 0}]}, "visited.0.reward"),
        ({"accuracy": None}, "accuracy"),
    ],
)
def test_malformed_searches(tmp_path, change, place):
    path = _write(tmp_path / "policy.json", SEARCH | change)
    with pytest.raises(UserError, match="search again") as caught:
        read_searches([path])
    assert caught.value.place == place


def test_searches_are_ordered_and_never_doubled(tmp_path):
    files = [_write(tmp_path / f"{name}.json", SEARCH | {"strategy": name}) for name in ("uniform", "policy", "random")]
    assert [search.strategy for search in read_searches(files)] == ["policy", "random", "uniform"]
    with pytest.raises(UserError, match="second search for siamfc students"):
        read_searches([files[0], files[0]])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a zip"])
def test_damaged_response_maps(tmp_path, content):
    path = tmp_path / "maps.npz"
    with pytest.raises(UserError, match="does not exist"):
        read_maps(path)
    path.write_bytes(content)
    with pytest.raises(UserError, match="truncated"):
        read_maps(path)


def test_response_maps_that_do_not_fit_each_other(tmp_path, made):
    path = tmp_path / "maps.npz"
    with np.load(made.maps) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"box": arrays["box"][:1]}))
    with pytest.raises(UserError, match="do not fit"):
        read_maps(path)
    np.savez(path, **(arrays | {"score": arrays["score"] * np.nan}))
    with pytest.raises(UserError, match="do not fit"):
        read_maps(path)
    np.savez(path, **{name: value for name, value in arrays.items() if name != "target"})
    with pytest.raises(UserError, match="lacks an array"):
        read_maps(path)
    np.savez(path, **(arrays | {"networks": np.array([object()])}))
    with pytest.raises(UserError, match="truncated"):
        read_maps(path)
