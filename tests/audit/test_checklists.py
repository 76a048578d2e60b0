"""Ledger and checklists: hand-worked sums, and answers that change with the run."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from audit.conftest import Tiny
from distillery.audit import checklists, ledger, manifest
from distillery.audit.answers import selection
from distillery.audit.checklists import CHECKLISTS
from distillery.audit.run import Run
from distillery.cli import main
from distillery.errors import UserError


def loaded(tiny: Tiny) -> manifest.Manifest:
    return manifest.load(tiny.root, Path("results/tiny/manifest.json"))


def job(rule: str, inputs: list[str], outputs: list[str], seconds: float, **more: Any) -> dict[str, Any]:
    made = {"rule": rule, "command": "", "code": {}, "params": None, "cpu_seconds": None, "peak_mb": None}
    return made | {"inputs": dict.fromkeys(inputs, "0"), "outputs": outputs, "seconds": seconds} | more


def two_rows(folder: Path) -> manifest.Manifest:
    """Two students of one teacher: data 1 s, teacher 10 s, students 100 s and 1000 s, a score 4 s, the table 2 s."""
    table = "results/t/tables/tracking.csv"
    (folder / table).parent.mkdir(parents=True)
    (folder / table).write_text("model,variant,label,otb100.auc\nm,a,A,0.5\nm,b,B,0.6\n")

    def at(name: str) -> str:
        return f"checkpoints/t/tracking/m/{name}/seed0.safetensors"

    def score(name: str) -> str:
        return f"results/t/metrics/otb100/m/{name}/seed0.json"

    on_gpu = {"params": {"compute": {"device": "cuda"}}}
    jobs = [
        job("data", [], ["data/t/otb100.json"], 1.0),
        job("teach", ["data/t/otb100.json"], [at("teacher")], 10.0, cpu_seconds=9.0, peak_mb=50.0, **on_gpu),
        job("train_a", [at("teacher")], [at("a")], 100.0, cpu_seconds=90.0, peak_mb=70.0),
        job("train_b", [at("teacher")], [at("b")], 1000.0, cpu_seconds=900.0, peak_mb=60.0),
        job("score", [at("a"), at("b")], [score("a"), score("b")], 4.0),
        job("tables", [score("a"), score("b")], [table], 2.0),
        job("other", [], ["results/t/other.json"], 7.0),
    ]
    named = {f"{one['rule']}:{one['outputs'][0]}": one for one in jobs}
    entries = {
        output: {"sha256": "0", "bytes": 1, "kind": manifest.kind_of(output), "job": name}
        for name, one in named.items()
        for output in one["outputs"]
    }
    head = {"format": 1, "profile": "t", "target": "headline", "code": {}, "config": {}, "data": {}, "machine": {}}
    return manifest.Manifest("results/t/manifest.json", head | {"jobs": named, "artefacts": entries})


def test_a_row_counts_each_of_its_jobs_once(tmp_path: Path) -> None:
    a, b = ledger.lines(tmp_path, two_rows(tmp_path))
    assert (a.label, a.cost.jobs, a.shared) == ("A", 5, 4)
    assert (a.cost.seconds, b.cost.seconds) == (1 + 10 + 100 + 4 + 2, 1 + 10 + 1000 + 4 + 2)
    assert (a.own_seconds, b.own_seconds) == (100.0, 1000.0)
    assert (a.share_seconds, b.share_seconds) == (100 + 17 / 2, 1000 + 17 / 2)
    assert (a.cost.cpu_seconds, a.cost.unmeasured, a.cost.peak_mb, b.cost.peak_mb) == (99.0, 3, 70.0, 60.0)
    assert (a.cost.gpu_seconds, b.cost.gpu_seconds) == (10.0, 10.0)


def test_shares_sum_to_what_the_table_took(tmp_path: Path) -> None:
    made = two_rows(tmp_path)
    rows = list(csv.DictReader(io.StringIO(ledger.as_csv(ledger.lines(tmp_path, made)))))
    assert sum(float(row["share_seconds"]) for row in rows) == 1 + 10 + 100 + 1000 + 4 + 2
    page = ledger.as_markdown(made, ledger.lines(tmp_path, made))
    total = f"{1117 / 3600:.4f}"
    assert f"| **together, each job once** | 6 | | {total} | | {total} |" in page
    assert "The other 1 jobs of the run took 0.0019 h." in page


def test_times_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    made = two_rows(tmp_path)
    score = made.jobs["score:results/t/metrics/otb100/m/a/seed0.json"]
    score["seconds"] = float("nan")
    with pytest.raises(UserError, match="its rows' shares are"):
        ledger.lines(tmp_path, made)
    score["seconds"] = "long"
    with pytest.raises(UserError, match="does not say how long a job of rule score took"):
        ledger.lines(tmp_path, made)


def test_row_of_a_real_project_rests_on_all_its_jobs(tiny: Tiny) -> None:
    """Dataset, two trainings, two trackings, scoring, table: seven jobs of 7.5 s; the store is none of them."""
    (line,) = ledger.lines(tiny.root, loaded(tiny))
    assert (line.cost.jobs, line.shared) == (7, 0)
    assert line.cost.seconds == pytest.approx(7 * 7.5, abs=0.01)  # its records differ by milliseconds
    assert not [name for name in line.names if name.startswith("publish")]


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [("cuda", [], True), ("auto", ["H"], True), ("auto", [], False), ("cpu", ["H"], False)],
)
def test_which_jobs_used_a_gpu(device: str, gpus: list[str], expected: bool) -> None:
    assert ledger.on_gpu({"params": {"compute": {"device": device}}}, {"gpus": gpus}) is expected
    assert ledger.on_gpu({"params": None}, {"gpus": gpus}) is False


def test_every_question_has_an_answer_and_files_that_exist(tiny: Tiny) -> None:
    tiny.write("LICENSE", "MIT License\n")
    tiny.write("docs/data.md", "# Data\n")
    made = loaded(tiny)
    run = Run(tiny.root, made)
    later = {"results/tiny/ledger.csv"}
    for questions in CHECKLISTS.values():
        for question in questions:
            answer = question.answer(run)
            assert answer.text.endswith((".", ":")), answer
            for name in answer.files:
                assert name.startswith("and ") or name in later or tiny.path(name).is_file(), (question.text, name)


def test_page_says_what_the_run_cannot_answer(tiny: Tiny) -> None:
    page = checklists.page(tiny.root, loaded(tiny))
    assert "**Available: in a public archive with a DOI** — *not from the run*" in page
    assert "docs/reviewers.md is not there." in page
    assert "otb100 (embedded, " in page and "2 sequences" in page
    assert "with seeds 0, 1 (" in page


def test_code_that_is_not_the_commit_s_is_said(tiny: Tiny) -> None:
    assert "but" not in _answer(tiny, "Source code with all dependencies").split("every job")[0]
    content = tiny.read("results/tiny/manifest.json")
    content["code"] |= {"dirty": True, "changed": ["src/distillery/code.py"]}
    tiny.write("results/tiny/manifest.json", content)
    assert "but 1 files that the jobs executed differ from it" in _answer(tiny, "Source code with all dependencies")


def test_a_search_that_saw_a_test_set_is_said(tiny: Tiny) -> None:
    content = tiny.read("results/tiny/manifest.json")
    content["artefacts"]["results/tiny/selection/x.json"] = {"sha256": "0", "bytes": 1, "kind": "search", "job": "s"}
    content["jobs"]["s"] = job("s", ["data/tiny/got10k.json"], ["results/tiny/selection/x.json"], 1.0)
    run = Run(tiny.root, manifest.Manifest("results/tiny/manifest.json", content))
    assert selection(run).verdict == "yes"
    content["jobs"]["s"]["inputs"] = {"data/tiny/otb100.json": "0"}
    assert selection(run).verdict == "no"
    assert "data/tiny/otb100.json, a set on which results are reported" in selection(run).text


def _answer(tiny: Tiny, question: str) -> str:
    page = checklists.page(tiny.root, loaded(tiny))
    return page.split(f"**{question}**")[1].split("\n\n**")[0]


def test_command_writes_three_pages(tiny: Tiny) -> None:
    assert main(["checklists", "--profile", "tiny", "--root", str(tiny.root)]) == 0
    home = tiny.path("results/tiny")
    first = {name: (home / name).read_bytes() for name in ("checklist.md", "ledger.csv", "ledger.md")}
    assert main(["checklists", "--profile", "tiny", "--root", str(tiny.root)]) == 0
    assert first == {name: (home / name).read_bytes() for name in first}


def test_a_broken_manifest_writes_nothing(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.path("results/tiny/manifest.json").write_text(json.dumps({"format": 1}))
    assert main(["checklists", "--profile", "tiny", "--root", str(tiny.root)]) == 1
    assert "is not a manifest" in capsys.readouterr().err
    assert not tiny.path("results/tiny/checklist.md").exists()
