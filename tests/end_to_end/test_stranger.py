"""The path of a stranger: a bundle of the finished smoke run, brought back in a fresh clone in another folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distillery.audit.dvc_hash import folder_hash
from project import Project, environment
from small_workflow import git

pytestmark = pytest.mark.slow

SMOKE = ("--configfile", "config/smoke.yaml")
TRACKER = "siamrpn/dim-tskd"


@pytest.fixture(scope="module")
def made(project: Project) -> Iterator[Path]:
    """The environment of this test's interpreter where `make` looks for its own."""
    folder = project.root.parent / "environment"
    folder.mkdir()
    (folder / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in (".requirements", ".package"):
        (folder / stamp).touch()
        os.utime(folder / stamp, (4_000_000_000, 4_000_000_000))
    yield folder


def make(project: Project, venv: Path, *arguments: str) -> str:
    """What a `make` target says."""
    done = subprocess.run(
        ["make", *arguments, f"VENV={venv}", "CORES=2"],
        cwd=project.root,
        env=environment() | {"PYTHONPATH": str(project.root / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def bundle(project: Project, made: Path) -> Path:
    assert "Nothing to be done" in make(project, made, "bundle", "PROFILE=smoke")
    (file,) = (project.root / "dist").glob("smoke-*.tar.gz")
    return file


@pytest.fixture(scope="module")
def clone(project: Project, bundle: Path, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh clone of the code, and the bundle brought back in it."""
    root = tmp_path_factory.mktemp("stranger") / "elsewhere"
    git(project.root, "clone", "-q", str(project.root), str(root))
    said = make(Project(root), made, "restore", f"BUNDLE={bundle}")
    assert "Profile smoke is back" in said
    return Project(root)


def contents(root: Path) -> dict[str, bytes]:
    folders = [root / name / "smoke" for name in ("data", "checkpoints", "results")]
    return {
        str(file.relative_to(root)): file.read_bytes() for top in folders for file in top.rglob("*") if file.is_file()
    }


def test_all_comes_back_byte_for_byte(project: Project, clone: Project) -> None:
    there, here = contents(project.root), contents(clone.root)
    records = [json.loads(files.pop("results/smoke/store.json")) for files in (there, here)]
    assert there == here
    assert records[0]["files"] == records[1]["files"]
    assert [record["restored"] for record in records] == [False, True]
    assert len(there) > 2000


def audit(project: Project) -> str:
    """What `distillery audit` says of the smoke run; it must find nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "distillery", "audit", "--profile", "smoke"],
        cwd=project.root,
        env=environment() | {"PYTHONPATH": str(project.root / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_the_audit_holds_where_it_ran_and_where_it_was_restored(project: Project, clone: Project) -> None:
    """From the bundle alone: no records of jobs of its own, no recordings, other dates."""
    for root in (project, clone):
        assert "everything holds" in audit(root)


def test_the_manifest_names_the_data_as_dvc_does(clone: Project) -> None:
    sets = json.loads((clone.root / "results/smoke/manifest.json").read_text())["data"]
    files = json.loads((clone.root / "results/smoke/store.json").read_text())["files"]
    for name, entry in sets.items():
        start = f"data/smoke/{name}/"
        assert entry["dvc"] == folder_hash(
            {path.removeprefix(start): file["md5"] for path, file in files.items() if path.startswith(start)}
        )


def test_the_clone_sees_nothing_to_be_done_whatever_its_dates(clone: Project) -> None:
    assert clone.jobs(*SMOKE) == {}
    for number, file in enumerate(sorted(clone.root.rglob("*"), reverse=True)):
        if not {".snakemake", ".git", ".dvc"} & set(file.parts):
            # Dates of long ago: a job whose input is dated tomorrow is refused by Snakemake itself, as a clock's fault.
            os.utime(file, (1_000_000_000 + number, 1_000_000_000 + number))
    assert clone.jobs(*SMOKE) == {}


def test_one_training_is_done_again_without_recordings_with_the_same_bytes(project: Project, clone: Project) -> None:
    """Recordings are in no bundle; only the run that is wanted is trained, not all that would share them."""
    weights = f"checkpoints/smoke/tracking/{TRACKER}/seed0.safetensors"
    before = (clone.root / weights).read_bytes()
    (clone.root / weights).unlink()
    assert clone.jobs(weights, *SMOKE) == {"train_siamrpn_tskd": 1}
    clone.snakemake(weights, *SMOKE, timeout=300)
    assert (clone.root / weights).read_bytes() == before
    assert clone.jobs(*SMOKE) == {}


def test_a_table_is_rebuilt_from_new_predictions_with_the_same_bytes(project: Project, clone: Project) -> None:
    """From the restored data and checkpoints on: tracking, scoring, table."""
    results = clone.root / "results/smoke"
    for kind in ("predictions", "metrics"):
        for benchmark in ("otb100", "dtb70", "vot2019", "lasot", "trackingnet"):
            shutil.rmtree(results / kind / benchmark / TRACKER)
    for suffix in ("csv", "md", "tex"):
        (results / f"tables/tracking.{suffix}").unlink()
    target = "results/smoke/tables/tracking.csv"
    jobs = clone.jobs(target, *SMOKE)
    assert jobs == {"track_benchmarks": 1, "score_tracking_headline": 5, "tables_headline": 1}
    clone.snakemake(target, *SMOKE, timeout=300)
    for suffix in ("csv", "md", "tex"):
        name = f"results/smoke/tables/tracking.{suffix}"
        assert (clone.root / name).read_bytes() == (project.root / name).read_bytes()
    made_again = {
        name: content
        for name, content in contents(clone.root).items()
        # How long it took is another matter; the index of a folder of predictions says that too.
        if TRACKER in name and "/benchmarks/" not in name and not ("/predictions/" in name and name.endswith(".json"))
    }
    there = contents(project.root)
    assert made_again == {name: there[name] for name in made_again}
    assert any("predictions/otb100" in name for name in made_again)
