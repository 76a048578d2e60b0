"""Summaries by hand, and DVC comparing them between two commits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from distillery.errors import UserError
from distillery.store import summaries
from distillery.store.publishing import publish
from small_workflow import commit, dvc

KEY = "otb100.siamfc/teacher.auc"


def metrics(root: Path, seed: int, auc: float | None, model: str = "siamfc/teacher") -> Path:
    name, variant = model.split("/")
    file = root / f"metrics/otb100/{model}/seed{seed}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": "otb100", "model": name, "variant": variant, "seed": seed, "numbers": {"auc": auc}}
    file.write_text(json.dumps(content))
    return file


def curve(root: Path, network: str, *losses: float, seed: int = 0) -> None:
    file = root / network / f"seed{seed}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps({"step": step, "loss": loss}) + "\n" for step, loss in enumerate(losses)))


def test_means_over_the_seeds(tmp_path: Path) -> None:
    files = [metrics(tmp_path, 0, 0.5), metrics(tmp_path, 1, 0.75), metrics(tmp_path, 0, None, "static/static")]
    files.append(metrics(tmp_path, 0, 0.25, "siamfc/dim"))
    assert summaries.means(files) == {"otb100": {"siamfc/teacher": {"auc": 0.625}, "siamfc/dim": {"auc": 0.25}}}


def test_curves_are_means_and_those_trained_together_have_one(tmp_path: Path) -> None:
    curve(tmp_path, "tracking/siamfc/teacher", 4, 2)
    curve(tmp_path, "tracking/siamfc/teacher", 2, 1, seed=1)
    for network in ("dim-tskd", "third-tskd"):
        curve(tmp_path, f"tracking/siamfc/{network}", 1, 0.5)
    (tmp_path / "search/pretraining").mkdir(parents=True)
    (tmp_path / "search/pretraining/small.jsonl").write_text('{"step": 0, "loss": 3}\n')
    assert summaries.curves(tmp_path) == {
        "tracking/siamfc/teacher": "step\tloss\n0\t3.0\n1\t1.5\n",
        "tracking/siamfc/dim-tskd+third-tskd": "step\tloss\n0\t1.0\n1\t0.5\n",
        "search/pretraining/small": "step\tloss\n0\t3.0\n",
    }


@pytest.mark.parametrize("text", ["[]", "{}", '{"model": 1}', '{"model": "a", "variant": "b", "numbers": []}', "no"])
def test_what_is_no_metrics_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "seed0.json").write_text(text)
    with pytest.raises(UserError, match=r"seed0\.json"):
        summaries.means([tmp_path / "seed0.json"])


@pytest.mark.parametrize("text", ["no", "{}", '{"step": 1, "loss": null}', "[1]"])
def test_what_is_no_curve_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/seed0.jsonl").write_text(text)
    with pytest.raises(UserError, match=f"{tmp_path.name}/net: a training curve"):
        summaries.curves(tmp_path)


def test_dvc_compares_two_commits_and_draws_the_curves(inside_git: Path) -> None:
    project = inside_git
    for profile_folder in ("data", "checkpoints"):
        shutil.move(project / profile_folder / "smoke", project / profile_folder / "mini")
    for message, auc in (("first", 0.5), ("second", 0.75)):
        metrics(project / "results/mini", 0, auc)
        curve(project / "checkpoints/mini", "tracking/siamfc/teacher", 1 - auc, 0.1)
        publish("mini", project / "results/mini/store.json", root=project)
        commit(project, message)
    changed = json.loads(dvc(project, "metrics", "diff", "--json", "HEAD~1"))
    assert changed == {"results/mini/summary/metrics.json": {KEY: {"old": 0.5, "new": 0.75, "diff": 0.25}}}
    shown = json.loads(dvc(project, "plots", "show", "--json"))["data"]
    (plot,) = shown["results/mini/summary/curves/tracking/siamfc/teacher.tsv"]
    values = plot["content"]["data"]["values"]
    assert [(row["step"], row["loss"]) for row in values] == [("0", "0.25"), ("1", "0.1")]
