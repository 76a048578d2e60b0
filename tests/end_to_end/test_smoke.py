"""The whole pipeline, as a user runs it on a fresh copy of the project: one command, then every promise about it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import REPOSITORY, Project, environment

pytestmark = pytest.mark.slow

SMOKE = ("--configfile", "config/smoke.yaml")
RESULTS = "results/smoke"


@pytest.fixture(scope="module")
def run(smoke_run: tuple[Project, str]) -> tuple[Project, str]:
    """The finished project, and what the run said."""
    return smoke_run


@pytest.fixture(scope="module")
def project(run: tuple[Project, str]) -> Project:
    return run[0]


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "config/smoke.yaml").read_text())
    return content


def read(project: Project, file: str) -> Any:
    return json.loads((project.root / file).read_text())


def test_the_run_shows_what_it_does(run: tuple[Project, str]) -> None:
    said = run[1]
    assert "(100%) done" in said
    for stage in (
        "Dataset otb100",
        "Training siamrpn, run tsskd",
        "Searching for siamfc students",
        "Look-up table reid",
        "Writing the report",
    ):
        assert stage in said
    assert "Traceback" not in said


def networks(config: dict[str, Any]) -> int:
    """Trackers that the headline trains with a seed."""
    families = (config["tracking"][name] for name in ("siamfc", "siamrpn"))
    runs = [run for family in families for run in family["runs"].values()]
    return sum(len(run["networks"]) for run in runs if run.get("target", "headline") == "headline")


def searchers(config: dict[str, Any], *methods: str) -> int:
    """Person-search networks of some methods that the headline trains on a set with a seed."""
    runs = [run for run in config["person_search"]["runs"].values() if run.get("target", "headline") == "headline"]
    return sum(len(run["networks"]) * len(run["students"]) for run in runs if run.get("method", "oim") in methods)


def test_every_seed_of_every_model_is_scored(project: Project, config: dict[str, Any]) -> None:
    seeds = {f"seed{seed}" for seed in config["seeds"]}
    expected = dict.fromkeys(config["tracking"]["benchmarks"], networks(config))
    with_teacher = 1 + searchers(config, "oim", "detector")
    pairs = searchers(config, "qeeps")
    expected |= {"cuhk_sysu": with_teacher + pairs, "prw": with_teacher, "prw_mini": with_teacher + pairs}
    assert len(expected) == 8
    for benchmark, models in expected.items():
        files = sorted((project.root / RESULTS / "metrics" / benchmark).rglob("seed*.json"))
        trained = [file for file in files if "baseline" not in file.parts]
        assert {file.stem for file in trained} == seeds
        assert len(trained) == models * len(seeds)
        assert [file for file in files if "baseline" in file.parts]


def test_metrics_are_fractions_of_what_was_scored(project: Project, config: dict[str, Any]) -> None:
    detections = 0
    for file in (project.root / RESULTS / "metrics").rglob("seed*.json"):
        metrics = json.loads(file.read_text())
        assert [metrics["model"], metrics["variant"], f"seed{metrics['seed']}"] == [*file.parts[-3:-1], file.stem]
        assert metrics["numbers"], file
        for name, value in metrics["numbers"].items():
            assert value is None or value >= 0, f"{file}: {name}"
            # Failures are counted, and pysot's robustness is their number in a hundred frames.
            assert value is None or value <= 1 or name in ("lost", "robustness"), f"{file}: {name}"
        assert metrics["counts"], file
        assert metrics["inputs"], file
        # So briefly trained a detector may rank nobody right; whoever is told where the people are does.
        if metrics["model"] not in ("oim", "qeeps", "detector"):
            if metrics["benchmark"] == "vot2019":  # clips that short may hold no frame that counts for accuracy
                continue
            wanted = "map" if metrics["benchmark"] in ("cuhk_sysu", "prw", "prw_mini") else "auc"
            assert metrics["numbers"][wanted] > 0, f"{file}: scored nothing at all"
        else:
            detections += metrics["counts"]["pool_detections"]
    assert detections > 0
    per_sequence = read(project, f"{RESULTS}/metrics/otb100/baseline/static/seed0.json")["per_sequence"]
    assert len(per_sequence) == config["data"]["otb100"]["sequences"]


def test_teaching_leaves_its_trace(project: Project, config: dict[str, Any]) -> None:
    """Weights of equal seeds differ by the teacher alone; different seeds differ."""
    folder = project.root / "checkpoints/smoke"
    digests = {file: read_bytes for file in folder.rglob("*.safetensors") if (read_bytes := file.read_bytes())}
    assert len(set(digests.values())) == len(digests), "two trainings gave the same bytes"
    for file in digests:
        sidecar = json.loads(file.with_suffix(".json").read_text())
        assert "kind" in sidecar, file
    curves = list(folder.rglob("*.jsonl"))
    search = config["person_search"]
    runs = networks(config) + len(search["benchmarks"]) * (1 + searchers(config, "oim", "qeeps", "detector"))
    assert len(curves) == runs * len(config["seeds"]) + len(search["pretraining"]["networks"])
    for curve in curves:
        steps = [json.loads(line) for line in curve.read_text().splitlines()]
        assert steps, curve
        assert all(step["loss"] == step["loss"] for step in steps), f"{curve}: not a number"
    assert not list(folder.rglob("*.resume")), "the resume state goes when a training has ended"


def test_tables_have_rows_and_three_forms(project: Project) -> None:
    folder = project.root / RESULTS / "tables"
    names = {file.stem for file in folder.iterdir()}
    assert {"tracking", "benchmarks", "person_search", "compute", "galleries", "differences", "selection"} <= names
    for name in names:
        rows = list(csv.reader((folder / f"{name}.csv").read_text().splitlines()))
        assert len(rows) > 1, f"{name} has no row"
        assert "|" in (folder / f"{name}.md").read_text()
        assert r"\toprule" in (folder / f"{name}.tex").read_text()
    tracking = (folder / "tracking.md").read_text()
    assert "±" in tracking, "two seeds give intervals"
    assert "static" in tracking.lower(), "the trivial trackers stand in the table"


def test_figures_are_drawn(project: Project) -> None:
    folder = project.root / RESULTS / "figures"
    names = {file.stem for file in folder.iterdir()}
    assert len(names) >= 15
    for name in names:
        assert "<svg" in (folder / f"{name}.svg").read_text()[:2000]
        assert (folder / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (folder / f"{name}.png").stat().st_size > 5000, f"{name} looks empty"


def test_the_report_stands_alone(project: Project) -> None:
    text = (project.root / RESULTS / "report.html").read_text(encoding="utf-8")
    assert len(text) > 50_000
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#|https?://(?:arxiv|github|doi))[^"']+""", text)
    assert not re.findall(r"<(?:script|link|img)[^>]+https?://", text)


def test_data_and_checkpoints_are_stored(project: Project) -> None:
    record = read(project, f"{RESULTS}/store.json")
    assert record["profile"] == "smoke"
    assert record["stored"]["checkpoints"]["files"] == sum(
        file.is_file() for file in (project.root / "checkpoints").rglob("*")
    )
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"],
        cwd=project.root,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert status.stdout.strip() == "{}"


def test_compute_cost_of_every_job_is_recorded(project: Project) -> None:
    files = list((project.root / RESULTS / "benchmarks").rglob("*.jsonl"))
    assert len(files) > 30
    for file in files:
        cost = json.loads(file.read_text().splitlines()[0])
        assert cost["s"] > 0
        assert cost["max_rss"] < 4000, f"{file}: more than 4 GB"


def test_a_second_run_has_nothing_to_do(project: Project) -> None:
    assert "Nothing to be done" in project.snakemake(*SMOKE)


def test_touching_a_source_reruns_nothing_and_editing_it_does(project: Project) -> None:
    source = project.root / "src/distillery/tracking/siamfc.py"
    text = source.read_text()
    source.touch()
    assert project.jobs(*SMOKE) == {}
    source.write_text(text + "\n# edited\n")
    try:
        assert "train_siamfc_teacher" in project.jobs(*SMOKE)
    finally:
        source.write_text(text)
    assert project.jobs(*SMOKE) == {}


def test_a_failed_command_fails_its_job_and_leaves_a_sentence(project: Project, tmp_path: Path) -> None:
    """`tee` must not hide the exit status of the command before it."""
    content = yaml.safe_load((project.root / "config/smoke.yaml").read_text())
    content["profile"] = "broken"
    content["data"]["otb100"] = {"source": "local", "root": "datasets/none"}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(content))
    said = project.snakemake("data/broken/otb100.json", "--configfile", str(tmp_path / "broken.yaml"), check=False)
    assert "datasets/none" in said
    assert "Traceback" not in said
    log = (project.root / "logs/broken/dataset/otb100.log").read_text()
    assert log.startswith("distillery: datasets/none")
    assert not (project.root / "data/broken/otb100.json").exists()


def test_snakemakes_own_report_works(project: Project) -> None:
    project.snakemake("--report", "report.zip", *SMOKE, timeout=300)
    with zipfile.ZipFile(project.root / "report.zip") as archive:
        names = archive.namelist()
    assert any(name.endswith("success.svg") for name in names)
    assert any(name.endswith("report.html") for name in names)
