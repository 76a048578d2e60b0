"""Snakemake's records, against Snakemake itself."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from snakemake.persistence.file import FilePersistence

from distillery.errors import UserError
from distillery.store import history
from project import Project
from small_workflow import CONFIG, NAMES

LONG = f"results/small/{'long/' * 70}x.json"


@pytest.mark.parametrize("output", ["data/small/a.json", "results/small/ünïcode+plus.json", LONG])
def test_records_lie_where_snakemake_looks_for_them(tmp_path: Path, output: str) -> None:
    persistence = FilePersistence(path=tmp_path / ".snakemake")
    history.write(tmp_path, {output: {"rule": "x", "input": ["a"], "input_checksums": {"a": "sha256:0"}}})
    record = persistence._read_record(output)
    assert record is not None
    assert (record.rule, record.input_checksums) == ("x", {"a": "sha256:0"})
    (tmp_path / output).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / output).touch()
    assert list(history.read(tmp_path, "small")) == [output]


def test_the_records_of_a_run_are_read(finished: Project) -> None:
    records = history.read(finished.root, "small")
    assert "recordings/small/net/crops.safetensors" in records
    assert records["results/small/store.json"]["rule"] == "publish_headline"
    for name in NAMES:
        record = records[f"checkpoints/small/tracking/net/{name}/seed0.safetensors"]
        assert record["rule"] == "train"
        assert set(record["input_checksums"]) == set(record["input"])
        assert "src/train.py" in record["input"]


def test_they_are_packed_and_unpacked(finished: Project, tmp_path: Path) -> None:
    records = history.read(finished.root, "small")
    history.pack(tmp_path / "one", records)
    history.pack(tmp_path / "two", dict(reversed(records.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert history.unpack(tmp_path / "one", "small") == records


def test_an_output_that_is_gone_has_no_record_and_a_recording_keeps_its_own(own: Project) -> None:
    """Without the record of a recording that nobody has, Snakemake would make it, and train what reads it."""
    (own.root / "results/small/metrics/a/net/v/seed0.json").unlink()
    (own.root / "recordings/small/net/crops.safetensors").unlink()
    records = history.read(own.root, "small")
    assert "results/small/metrics/a/net/v/seed0.json" not in records
    assert "recordings/small/net/crops.safetensors" in records
    assert own.jobs("results/small/tables/table.csv", "--configfile", CONFIG) == {}


def test_what_was_fetched_keeps_its_record_and_what_nobody_read_has_none(tmp_path: Path) -> None:
    made = {"data/small/a.json": {"input": ["datasets/a.fetched.json", "src/x.py"]}, "datasets/a.fetched.json": {}}
    history.write(tmp_path, made | {"datasets/b.fetched.json": {}, "data/mini/a.json": {}})
    assert history.read(tmp_path, "small") == {}, "the dataset is not here"
    (tmp_path / "data/small").mkdir(parents=True)
    (tmp_path / "data/small/a.json").touch()
    assert set(history.read(tmp_path, "small")) == set(made)


def test_a_record_of_a_stranger_reaches_no_file_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    before = outside.stat().st_mtime_ns
    root = tmp_path / "project"
    (root / "data/small").mkdir(parents=True)
    (root / "data/small/a.json").touch()
    names = ["../outside", str(outside), "recordings/../../outside", "recordings/../../new.safetensors"]
    records = {"data/small/a.json": {"input": names, "input_checksums": dict.fromkeys(names, "sha256:0")}}
    history.write(root, records | {"recordings/../../new.safetensors": {}})
    assert history.wake(root, records) == []
    assert outside.stat().st_mtime_ns == before
    assert not (tmp_path / "new.safetensors").exists()


def test_the_mark_of_a_killed_job_goes_with_its_output(tmp_path: Path) -> None:
    persistence = FilePersistence(path=tmp_path / ".snakemake")
    persistence._mark_incomplete("data/small/a.json", None)
    history.write(tmp_path, {"data/small/a.json": {"rule": "dataset"}})
    assert persistence._filter_incomplete_keys(["data/small/a.json"]) == set()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xz",
        lzma.compress(b"{}")[:-5],
        lzma.compress(b"[]"),
        lzma.compress(b'{"data/small/a.json": 1}'),
        lzma.compress(b'{"data/small/a.json": {"input": 1}}'),
        lzma.compress(b'{"data/small/a.json": {"input_checksums": []}}'),
        lzma.compress(b"[" * 100_000),
        lzma.compress(b'{"data/mini/a.json": {}}'),
        lzma.compress(b'{"data/small/../../../a.json": {}}'),
        lzma.compress(b'{"data/small/a.json": {"input": ["../b"]}, "../b": {}}'),
    ],
)
def test_what_holds_no_records_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "records").write_bytes(content)
    with pytest.raises(UserError, match=r"records: (holds no records|speaks of)"):
        history.unpack(tmp_path / "records", "small")
