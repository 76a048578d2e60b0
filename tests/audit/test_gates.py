"""The way over a server: packed, answered, taken up as metrics, cited, and proven by the audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit.conftest import Tiny, sha
from distillery.audit import manifest
from distillery.audit.project import Project
from distillery.audit.recompute import recompute
from distillery.audit.verify import verify
from distillery.cli import main

TEST = "trackingnet_test"
INDEX = f"results/tiny/predictions/{TEST}/baseline/static/seed0.json"
ARCHIVE = f"results/tiny/submissions/{TEST}/baseline/static/seed0.zip"
ANSWER = f"answers/tiny/{TEST}/baseline/static/seed0.txt"
METRICS = f"results/tiny/metrics/{TEST}/baseline/static/seed0.json"
SAID = "Success: 57.13\nPrecision: 53.3\nNormalized Precision: 66.3\n"


@pytest.fixture
def answered(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A project with a submission, its answer and the records of both."""
    monkeypatch.chdir(tiny.root)
    spec = {"source": "embedded", "seed": 5, "width": 96, "height": 72}
    spec |= {"train_sequences": 1, "train_frames": 3, "test_sequences": 2, "test_frames": 3}
    data = "data/tiny/trackingnet.json"
    _do(tiny, "dataset", ["--benchmark", "trackingnet", "--params", json.dumps(spec), "--out", data], [], [data], spec)
    results = INDEX.removesuffix(".json")
    root = data.removesuffix(".json")
    words = ["--baseline", "static", "--benchmark", TEST, "--root", root, "--results", results]
    _do(tiny, "track", words, [data], [INDEX])
    words = ["--benchmark", TEST, "--root", root, "--results", results, "--out", ARCHIVE]
    _do(tiny, "submission", words, [data, INDEX], [ARCHIVE, f"{ARCHIVE}.json"])
    tiny.write(ANSWER, SAID)
    words = ["--benchmark", TEST, "--answer", ANSWER, "--submission", ARCHIVE, "--out", METRICS]
    words += ["--label", "model=baseline", "variant=static", "seed=0"]
    _do(tiny, "answer", words, [ANSWER, ARCHIVE, f"{ARCHIVE}.json"], [METRICS])
    _build(tiny)
    return tiny


def _do(tiny: Tiny, command: str, words: list[str], inputs: list[str], outputs: list[str], params: Any = None) -> None:
    assert main([command, *words]) == 0
    tiny.record(f"{command}_server", f"python -m distillery {command} {' '.join(words)}", inputs, outputs, params)


def _build(tiny: Tiny) -> None:
    ends = (METRICS, "results/tiny/tables/tracking.csv", "results/tiny/report.html")
    content = manifest.build(tiny.root, "tiny", "headline", ends=ends, config=Path("config/tiny.yaml"), resolved=())
    tiny.write("results/tiny/manifest.json", content)


def findings(tiny: Tiny) -> list[str]:
    loaded = manifest.load(tiny.root, Path("results/tiny/manifest.json"))
    project = Project(tiny.root, loaded, [loaded], ())
    return [str(one) for one in verify(project) + recompute(project, kinds=("metrics",))]


def test_an_answer_becomes_metrics_that_name_it(answered: Tiny) -> None:
    made = answered.read(METRICS)
    assert made["numbers"] == pytest.approx({"auc": 0.5713, "precision": 0.533, "normalized_precision": 0.663})
    assert made["inputs"] == {"answer": sha(answered.path(ANSWER)), "submission": sha(answered.path(ARCHIVE))}
    assert made["provenance"]["server"] == "eval.tracking-net.org"
    loaded = manifest.load(answered.root, Path("results/tiny/manifest.json"))
    (job,) = [job for job in loaded.jobs.values() if METRICS in job["outputs"]]
    assert job["inputs"][ANSWER] == sha(answered.path(ANSWER))
    assert findings(answered) == []


def test_an_answer_changed_after_the_run_is_found(answered: Tiny) -> None:
    answered.write(ANSWER, SAID.replace("57.13", "75.13"))
    (found,) = findings(answered)
    assert found.startswith(f"{METRICS}: is not what its inputs give")


def test_numbers_that_the_server_did_not_say_are_found(answered: Tiny) -> None:
    made = answered.read(METRICS)
    made["numbers"]["auc"] = 0.7513
    answered.write(METRICS, made)
    _build(answered)  # the manifest says the new hash
    assert any(one.startswith(f"{METRICS}: is not what its inputs give") for one in findings(answered))


def test_an_answer_to_another_submission_is_refused(answered: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    answered.path(ARCHIVE).write_bytes(b"PK another")
    answered.path(METRICS).unlink()
    words = ["answer", "--benchmark", TEST, "--answer", ANSWER, "--submission", ARCHIVE, "--out", METRICS]
    assert main(words) == 1
    assert "is not the record of seed0.zip" in capsys.readouterr().err
    assert not answered.path(METRICS).exists()


def test_what_waits_for_a_server_is_no_fault_but_a_number_for_it_is(tiny: Tiny) -> None:
    """Submissions may be written after a run; metrics without an answer may not."""
    tiny.write(ARCHIVE, "PK")
    tiny.write(INDEX, {})
    assert tiny.findings() == []
    tiny.write(METRICS, {"benchmark": TEST, "numbers": {"auc": 0.9}})
    assert [one.file for one in tiny.findings(again=False)] == [METRICS]
