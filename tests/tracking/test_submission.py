from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from distillery.config.tracking import TrackJob
from distillery.errors import UserError
from distillery.tracking.running import track
from distillery.tracking.submission import import_answer, pack

ANSWER = {"Success": 57.1, "Precision": 53.3, "Normalized Precision": 66.3, "Coverage": 100}


def frames(folder: Path, first: int) -> None:
    folder.mkdir(parents=True)
    for number in range(first, first + 3):
        cv2.imwrite(str(folder / f"{number}.jpg"), np.full((16, 16, 3), 9 * number, np.uint8))


@pytest.fixture
def tracking_net(tmp_path: Path) -> tuple[Path, Path]:
    """A test part and a tracker's results on it."""
    root = tmp_path / "tn"
    for name in ("b_0", "a_1"):
        frames(root / "TEST" / "frames" / name, 0)
        (root / "TEST" / "anno").mkdir(exist_ok=True)
        (root / "TEST" / "anno" / f"{name}.txt").write_text("1.00,2.00,3.00,4.00\n")
    track("trackingnet_test", root, tmp_path / "results", TrackJob(), baseline="static")
    return root, tmp_path / "results"


@pytest.fixture
def got10k(tmp_path: Path) -> tuple[Path, Path]:
    root = tmp_path / "got"
    frames(root / "test" / "T1", 1)
    (root / "test" / "T1" / "groundtruth.txt").write_text("1,2,3,4\n")
    (root / "test" / "list.txt").write_text("T1\n")
    track("got10k_test", root, tmp_path / "results", TrackJob(), baseline="static", repetitions=2)
    return root, tmp_path / "results"


def test_the_archive_is_what_the_server_takes(tmp_path: Path, tracking_net: tuple[Path, Path]) -> None:
    record = pack("trackingnet_test", *tracking_net, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["a_1.txt", "b_0.txt"]
        assert archive.read("a_1.txt") == b"1.0000,2.0000,3.0000,4.0000\n" * 3
        assert archive.testzip() is None
    assert record == {
        "benchmark": "trackingnet_test",
        "sha256": hashlib.sha256((tmp_path / "out.zip").read_bytes()).hexdigest(),
        "sequences": 2,
        "tracker": {"tracker": "static"},
    }
    assert json.loads((tmp_path / "out.zip.json").read_text()) == record
    assert pack("trackingnet_test", *tracking_net, tmp_path / "out.zip") == record


def test_equal_results_give_equal_bytes(tmp_path: Path, tracking_net: tuple[Path, Path]) -> None:
    root, results = tracking_net
    first = pack("trackingnet_test", root, results, tmp_path / "a.zip")
    for file in results.iterdir():
        file.touch()
    assert pack("trackingnet_test", root, results, tmp_path / "b.zip")["sha256"] == first["sha256"]
    # Pinned: stored, sorted, without dates, so the bytes are the same on every machine.
    assert first["sha256"] == "4a2b5edd30d2e647f644a64e7529b47873d45c4386f3ca91e8a1eeadc74063d5"


def test_got10k_takes_repetitions_and_seconds(tmp_path: Path, got10k: tuple[Path, Path]) -> None:
    pack("got10k_test", *got10k, tmp_path / "out.zip")
    index = json.loads(got10k[1].with_suffix(".json").read_text())["sequences"]["T1"]
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["T1/T1_001.txt", "T1/T1_002.txt", "T1/T1_time.txt"]
        seconds = f"{index['seconds'] / 6:.8f}"
        assert archive.read("T1/T1_time.txt").decode() == f"{seconds},{seconds}\n" * 3
    got10k[1].with_suffix(".json").write_text('{"sequences": {"T1": {}}}')
    with pytest.raises(UserError, match="does not say how long T1 took"):
        pack("got10k_test", *got10k, tmp_path / "out.zip")
    (got10k[1] / "T1" / "T1_001.txt").unlink()
    (got10k[1] / "T1" / "T1_002.txt").unlink()
    with pytest.raises(UserError, match="the result files of T1 are missing"):
        pack("got10k_test", *got10k, tmp_path / "out.zip")


def test_incomplete_results_are_not_packed(tmp_path: Path, tracking_net: tuple[Path, Path]) -> None:
    root, results = tracking_net
    (results / "b_0.txt").write_text("1,2,3,4\n" * 2)
    with pytest.raises(UserError, match=r"b_0\.txt: has 2 rows, the sequence b_0 has 3 frames"):
        pack("trackingnet_test", root, results, tmp_path / "out.zip")
    (results / "b_0.txt").unlink()
    with pytest.raises(UserError, match="the result files of b_0 of 2 sequences are missing"):
        pack("trackingnet_test", root, results, tmp_path / "out.zip")
    with pytest.raises(UserError, match="no server scores 'otb100'; choose one of trackingnet_test, got10k_test"):
        pack("otb100", root, results, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_the_index_outlives_its_submission(tmp_path: Path, tracking_net: tuple[Path, Path]) -> None:
    root, results = tracking_net
    index = results.with_name("results.json")
    before = index.read_bytes()
    pack("trackingnet_test", root, results, results.with_name("results.zip"))
    assert index.read_bytes() == before
    track("trackingnet_test", root, results, TrackJob(), baseline="static")


def test_what_a_submission_may_not_be_written_over(tmp_path: Path, tracking_net: tuple[Path, Path]) -> None:
    for name in ("results.json", "out", "out.zip.json"):
        with pytest.raises(UserError, match=r"does not end in \.zip"):
            pack("trackingnet_test", *tracking_net, tmp_path / name)
    for text in ((tmp_path / "results.json").read_text(), '{"a": 1}', "no JSON"):
        (tmp_path / "out.zip.json").write_text(text)
        with pytest.raises(UserError, match=r"out\.zip\.json: is not the record of a submission and would be over"):
            pack("trackingnet_test", *tracking_net, tmp_path / "out.zip")
        assert (tmp_path / "out.zip.json").read_text() == text
    assert not (tmp_path / "out.zip").exists()


def test_results_are_found_from_within(
    tmp_path: Path, tracking_net: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tracking_net[1])
    assert pack("trackingnet_test", tracking_net[0], Path(), tmp_path / "a.zip")["tracker"] == {"tracker": "static"}


@pytest.fixture
def sent(tmp_path: Path, tracking_net: tuple[Path, Path]) -> Path:
    pack("trackingnet_test", *tracking_net, tmp_path / "out.zip")
    return tmp_path / "out.zip"


@pytest.mark.parametrize(
    "text",
    [json.dumps(ANSWER), "\ufeff" + "\r\n".join(f"{name}: {value} %" for name, value in ANSWER.items()) + "\r\n\r\n"],
    ids=["json", "text"],
)
def test_an_answer_becomes_metrics(tmp_path: Path, sent: Path, text: str) -> None:
    answer = tmp_path / "answer"
    answer.write_text(text, encoding="utf-8")
    metrics = import_answer("trackingnet_test", answer, sent)
    assert metrics["numbers"] == pytest.approx(
        {"auc": 0.571, "precision": 0.533, "normalized_precision": 0.663, "coverage": 1.0}
    )
    assert metrics["inputs"] == {
        "answer": hashlib.sha256(answer.read_bytes()).hexdigest(),
        "submission": hashlib.sha256(sent.read_bytes()).hexdigest(),
    }
    assert metrics["provenance"]["tracker"] == {"tracker": "static"}
    assert (metrics["protocol"], metrics["counts"]["sequences"]) == ("server", 2)
    json.dumps(metrics, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks auc, precision, normalized_precision"),
        ("{", "is not valid JSON"),
        pytest.param(f'{{"success": {"9" * 5000}}}', "is not valid JSON", id="5000 digits"),
        ('{"success": 57.1, "precision": 53.3}', "lacks normalized_precision"),
        (json.dumps(ANSWER | {"Success": 157}), "Success: holds '157', not a number from 0 to 100"),
        (json.dumps(ANSWER | {"Success": -1}), "holds '-1', not a number"),
        (json.dumps(ANSWER | {"Success": "57"}), "holds '57', not a number"),
        (json.dumps(ANSWER | {"Success": True}), "holds 'True', not a number"),
        (json.dumps(ANSWER | {"Success": float("nan")}), "holds 'nan', not a number"),
        (json.dumps(ANSWER | {"AUC": 57.1}), "holds auc twice"),
        (json.dumps(ANSWER | {"EAO": 0.3}), "holds 'EAO', which the server of TrackingNet does not give"),
        ('{"success": 0.571, "precision": 0.533, "normalized_precision": 0.663}', "holds fractions"),
        ("Success: 57.1\nPrecision 53.3\n", "line 2: is not `Name: number`"),
        ("Success: 57.1\nPrecision: high\n", "line 2: is not `Name: number`"),
        ("<html>\n", "line 1: is not `Name: number`"),
    ],
)
def test_a_faulty_answer(tmp_path: Path, sent: Path, text: str, words: str) -> None:
    (tmp_path / "answer.txt").write_text(text)
    with pytest.raises(UserError, match=r"answer\.txt") as caught:
        import_answer("trackingnet_test", tmp_path / "answer.txt", sent)
    assert words in str(caught.value)


def test_got10k_answers_in_fractions(tmp_path: Path, got10k: tuple[Path, Path]) -> None:
    pack("got10k_test", *got10k, tmp_path / "out.zip")
    (tmp_path / "answer.txt").write_text("AO: 0.355\nSR 0.50: 0.39\nSR_{0.75}: 0.118\n")
    metrics = import_answer("got10k_test", tmp_path / "answer.txt", tmp_path / "out.zip")
    assert metrics["numbers"] == {"ao": 0.355, "sr_50": 0.39, "sr_75": 0.118}
    with pytest.raises(UserError, match=r"is not the record of out\.zip for trackingnet_test"):
        (tmp_path / "answer.txt").write_text(json.dumps(ANSWER))
        import_answer("trackingnet_test", tmp_path / "answer.txt", tmp_path / "out.zip")


def test_the_answer_belongs_to_what_was_sent(tmp_path: Path, sent: Path) -> None:
    (tmp_path / "answer.json").write_text(json.dumps(ANSWER))
    sent.write_bytes(sent.read_bytes() + b"\n")
    with pytest.raises(UserError, match="is not the record of"):
        import_answer("trackingnet_test", tmp_path / "answer.json", sent)
    with pytest.raises(UserError, match="does not exist; pass the archive that was sent"):
        import_answer("trackingnet_test", tmp_path / "answer.json", tmp_path / "none.zip")
    Path(f"{sent}.json").unlink()
    with pytest.raises(UserError, match=r"out\.zip\.json: does not exist"):
        import_answer("trackingnet_test", tmp_path / "answer.json", sent)
    (tmp_path / "answer.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is not a text file"):
        import_answer("trackingnet_test", tmp_path / "answer.json", sent)
