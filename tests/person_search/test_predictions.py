"""The predictions file: round trip, the same bytes, and everything that can be wrong with it."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest

from distillery.errors import UserError
from distillery.person_search.predictions import (
    Detections,
    PairPredictions,
    Predictions,
    read_any_predictions,
    read_predictions,
    validated,
    write_predictions,
)


def arrays():
    return {
        "gallery_image": np.array(["s1.jpg", "s2.jpg"]),
        "gallery_box": np.array([[0, 0, 10, 20], [1, 2, 3, 4]], np.float32),
        "gallery_score": np.array([0.9, 0.8], np.float32),
        "gallery_feature": np.array([[1, 0, 0], [0, 1, 0]], np.float32),
        "query_feature": np.array([[0, 0, 1]], np.float32),
    }


def test_round_trip(tmp_path):
    file = tmp_path / "predictions.npz"
    write_predictions(file, Predictions(**arrays()))
    read = read_predictions(file)
    for name, array in arrays().items():
        np.testing.assert_array_equal(getattr(read, name), array)
    assert read.gallery_feature.dtype == np.float32


def people():
    return {
        "true_image": np.array(["s2.jpg"]),
        "true_box": np.array([[1, 2, 3, 4]], np.float32),
        "true_feature": np.array([[0, 1, 0]], np.float32),
    }


def test_annotated_people_beside_the_detections(tmp_path):
    file = tmp_path / "predictions.npz"
    write_predictions(file, Predictions(**arrays(), **people()))
    read = read_any_predictions(file)
    assert isinstance(read, Predictions)
    same(read, people())
    given = read.on_true_boxes()
    assert given is not None and given.gallery_image.tolist() == ["s2.jpg"] and given.gallery_score.tolist() == [1]
    assert Predictions(**arrays()).on_true_boxes() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"true_box": None}, "'true_box': is missing"),
        ({"true_feature": np.zeros((1, 4))}, "'true_feature': has 4 dimensions, 'gallery_feature' has 3"),
        ({"true_box": np.zeros((2, 4))}, "'true_box': has 2 rows, 'true_image' has 1"),
        ({"true_feature": np.full((1, 3), np.nan)}, "'true_feature': holds NaN"),
    ],
)
def test_malformed_people_are_named(tmp_path, change, words):
    given = {name: value for name, value in (arrays() | people() | change).items() if value is not None}
    np.savez(tmp_path / "p.npz", **given)
    for read in (read_predictions, read_any_predictions):
        with pytest.raises(UserError, match=words):
            read(tmp_path / "p.npz")


def pairs():
    return {
        "pair_query": np.array([1, 0, 1]),
        "pair_image": np.array(["s1.jpg", "s2.jpg", "s2.jpg"]),
        "pair_box": np.array([[0, 0, 10, 20], [1, 2, 3, 4], [1, 2, 3, 5]], np.float32),
        "pair_score": np.array([0.9, 0.8, 0.7], np.float32),
        "pair_similarity": np.array([0.1, 0.2, 0.3], np.float32),
        "query_run": np.array([True, True, False]),
    }


def same(read, given):
    for name, array in given.items():
        np.testing.assert_array_equal(getattr(read, name), array)


def test_round_trip_of_every_form(tmp_path):
    file = tmp_path / "predictions.npz"
    alone = {
        name: array for name, array in arrays().items() if name in ("gallery_image", "gallery_box", "gallery_score")
    }
    write_predictions(file, Detections(**alone))
    assert type(read_any_predictions(file)) is Detections
    same(read_any_predictions(file), alone)
    write_predictions(file, PairPredictions(**pairs()))
    read = read_any_predictions(file)
    assert isinstance(read, PairPredictions) and read.detections is None and read.gallery_size is None
    same(read, pairs())
    write_predictions(file, PairPredictions(**pairs(), gallery_size=50, detections=Detections(**alone)))
    read = read_any_predictions(file)
    assert read.gallery_size == 50
    same(read.detections, alone)
    write_predictions(file, Predictions(**arrays()))
    assert isinstance(read_any_predictions(file), Predictions)


def test_a_file_of_another_form_has_no_features(tmp_path):
    write_predictions(tmp_path / "p.npz", PairPredictions(**pairs()))
    with pytest.raises(UserError, match="'gallery_image': is missing"):
        read_predictions(tmp_path / "p.npz")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("pair_query", np.array([1, 0, 3]), "names query 3 in row 2, 'query_run' has 3 rows"),
        ("pair_query", np.array([1, -1, 0]), "names query -1 in row 1"),
        ("pair_query", np.array([1.0, 0.0, 1.0]), "instead of whole numbers"),
        ("pair_query", np.array([2**64 - 1, 0, 1], np.uint64), "holds 18446744073709551615"),
        ("pair_query", np.array([1, 2, 0]), "query 2 was not run, row 1 is a detection of it"),
        ("query_run", np.array([1, 1, 0]), "instead of flags"),
        ("query_run", np.zeros(0, bool), "'query_run' has 0 rows"),
        ("pair_similarity", np.array([0.1, np.nan, 0.3]), "NaN or infinity in row 1"),
        ("pair_similarity", np.zeros(2), "2 rows, 'pair_image' has 3"),
        ("pair_box", np.zeros((3, 5)), "5 columns instead of 4"),
        ("gallery_size", np.array([50, 100]), "1 dimensions instead of 0"),
        ("gallery_box", np.zeros((1, 4)), "array 'gallery_image': is missing"),
    ],
)
def test_malformed_pairs_are_named(tmp_path, name, value, words):
    np.savez(tmp_path / "p.npz", **(pairs() | {name: value}))
    with pytest.raises(UserError) as caught:
        read_any_predictions(tmp_path / "p.npz")
    assert words in str(caught.value) and "array '" in str(caught.value)


def test_an_archive_of_something_else(tmp_path):
    np.savez(tmp_path / "p.npz", weights=np.zeros(3))
    with pytest.raises(UserError, match="'gallery_image': is missing"):
        read_any_predictions(tmp_path / "p.npz")


def test_the_same_bytes_at_another_time(tmp_path, monkeypatch):
    write_predictions(tmp_path / "a.npz", Predictions(**arrays()))
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setattr(time, "localtime", lambda *_: time.struct_time((2033, 5, 18, 3, 33, 20, 2, 138, 0)))
    write_predictions(tmp_path / "b.npz", Predictions(**arrays()))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_no_detection_at_all_is_legal(tmp_path):
    np.savez(
        tmp_path / "p.npz",
        gallery_image=np.array([]),
        gallery_box=np.empty((0, 4)),
        gallery_score=np.empty(0),
        gallery_feature=np.empty((0, 3)),
        query_feature=np.ones((1, 3)),
    )
    assert len(read_predictions(tmp_path / "p.npz").gallery_image) == 0


def test_other_numeric_types_are_converted():
    given = arrays() | {"gallery_box": np.array([[0, 0, 10, 20], [1, 2, 3, 4]], np.uint8), "query_feature": np.eye(3)}
    assert validated(given).gallery_box.dtype == validated(given).query_feature.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gallery_image", np.array([1, 2]), "instead of strings"),
        ("gallery_image", np.array([["a", "b"]]), "2 dimensions instead of 1"),
        ("gallery_box", np.zeros((2, 5)), "5 columns instead of 4"),
        ("gallery_box", np.zeros((3, 4)), "3 rows, 'gallery_image' has 2"),
        ("gallery_box", np.array([[0, 0, 1, 1], [5, 5, 4, 6]]), "row 1: x2 < x1"),
        ("gallery_box", np.array([[0, 0, 1, np.nan], [0, 0, 1, 1]]), "NaN or infinity in row 0"),
        ("gallery_score", np.array([0.5, np.nan]), "NaN or infinity in row 1"),
        ("gallery_score", np.array(["a", "b"]), "instead of numbers"),
        ("gallery_feature", np.array([[1, 0, 0], [np.inf, 0, 0]]), "NaN or infinity in row 1"),
        ("gallery_feature", np.array([[1, 0, 0], [1e300, 0, 0]]), "NaN or infinity in row 1"),
        ("gallery_feature", np.zeros((2, 4)), "3 dimensions, 'gallery_feature' has 4"),
        ("query_feature", np.array([[1, np.nan, 0]]), "NaN or infinity in row 0"),
        ("query_feature", np.zeros(3), "1 dimensions instead of 2"),
    ],
)
def test_malformed_arrays_are_named(tmp_path, name, value, words):
    file = tmp_path / "p.npz"
    np.savez(file, **(arrays() | {name: value}))
    with pytest.raises(UserError) as caught:
        read_predictions(file)
    message = str(caught.value)
    assert str(file) in message and words in message and "array '" in message and "\n" not in message
    given = arrays() | {name: value}
    with pytest.raises(UserError):
        write_predictions(tmp_path / "out.npz", Predictions(**given))
    assert not (tmp_path / "out.npz").exists()


def test_missing_array(tmp_path):
    given = arrays()
    del given["gallery_score"]
    np.savez(tmp_path / "p.npz", **given)
    with pytest.raises(UserError, match="array 'gallery_score': is missing"):
        read_predictions(tmp_path / "p.npz")


def test_files_that_are_no_archive(tmp_path):
    file = tmp_path / "p.npz"
    with pytest.raises(UserError, match="does not exist"):
        read_predictions(file)
    np.save(tmp_path / "array.npy", np.zeros(3))
    for content in (b"", b"text", pickle.dumps([1, 2]), (tmp_path / "array.npy").read_bytes()):
        file.write_bytes(content)
        with pytest.raises(UserError, match="archive"):
            read_predictions(file)


def test_truncated_and_damaged_archives(tmp_path):
    file = tmp_path / "p.npz"
    write_predictions(file, Predictions(**arrays()))
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError):
            read_predictions(file)
    for place in range(0, len(whole), 5):
        file.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        try:
            read_predictions(file)
        except UserError:
            continue


class Exploit:
    def __reduce__(self):
        return (open, ("/nonexistent/exploited", "w"))


def test_python_objects_are_never_loaded(tmp_path):
    file = tmp_path / "p.npz"
    np.savez(file, **(arrays() | {"gallery_image": np.array([Exploit(), Exploit()], object)}), allow_pickle=True)
    with pytest.raises(UserError, match="gallery_image"):
        read_predictions(file)
