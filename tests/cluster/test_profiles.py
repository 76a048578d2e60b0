"""What the cluster profiles ask for, rule by rule, from submitters that only write it down."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from distillery.planning.listing import list_jobs
from project import REPOSITORY, Project

pytest.importorskip(
    "snakemake_executor_plugin_cluster_generic",
    reason="snakemake-executor-plugin-cluster-generic is not installed; requirements.lock has it (`make setup`)",
)

GENERIC = REPOSITORY / "profiles" / "cluster-generic"
SUBMIT = """#!{python} -S
# Writes a job down and makes its files, as if it had run; the first job of the tables fails. Files of costs
# (`benchmark:`) are not among the properties of a job, but lie and are named as the logs.
import json, pathlib, re, sys
*words, script = sys.argv[1:]
job = json.loads(re.search("(?m)^# properties = (.*)$", open(script).read())[1])
with open("submitted.txt", "a+") as log:
    log.seek(0)
    fails = words[0] == "tables_headline" and words[0] not in log.read()
    print(*words, file=log)
costs = [log.replace("logs/smoke", "results/smoke/benchmarks").replace(".log", ".jsonl") for log in job.get("log", [])]
for output in [] if fails else job["output"] + costs:
    path = pathlib.Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(output)
print("failed" if fails else "success")
"""
STATUS = '#!/bin/sh\necho "$1"\n'  # a job's number is how it ended
WITHOUT_GPU = re.compile(
    r"dataset|pretraining_data|crop_clips|track_baseline|search_\w+_baseline|(score|claims|tables|figures|report)_"
)
REPORTS = ("report_headline", "report_ablations")
DEFAULTS = ("mem_mb=attempt * 4000", "runtime=attempt * 240", "gpu=0")
ASKED = "{rule} {threads} {resources.mem_mb} {resources.runtime} {resources.gpu} [{resources.gres}]"


def executable(file: Path, text: str) -> Path:
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def submitted(project: Project, *arguments: str, check: bool = True) -> list[list[str]]:
    """What would have been submitted, job by job in order."""
    content = yaml.safe_load((project.root / "config" / "smoke.yaml").read_text())
    content["compute"]["device"] = "cuda"
    (project.root / "gpu.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (project.root / "submitted.txt").write_text("")
    executable(project.root / "submit", SUBMIT.format(python=sys.executable))
    executable(project.root / "status", STATUS)
    project.snakemake(
        *("--configfile", "gpu.yaml", "--profile", "profiles/cluster-generic", *arguments),
        *("--cluster-generic-submit-cmd", f"./submit {ASKED}", "--cluster-generic-status-cmd", "./status"),
        *("--jobs", "500", "--seconds-between-status-checks", "1", "--max-status-checks-per-second", "1000"),
        *("--latency-wait", "5"),
        check=check,
        timeout=900,
    )
    return [line.split() for line in (project.root / "submitted.txt").read_text().splitlines()]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.copy(tmp_path_factory.mktemp("submitting") / "project")


@pytest.fixture(scope="module")
def jobs(project: Project) -> list[list[str]]:
    """Both targets, all jobs but those that run beside Snakemake."""
    return submitted(project, *REPORTS, "--default-resources", *DEFAULTS, "gres=''")


def rules(project: Project, config: str) -> set[str]:
    said = project.snakemake("--list-rules", "--configfile", config)
    return {line.strip() for line in said.splitlines() if re.fullmatch(r"\s*\w+\s*", line)}


def test_every_rule_asks_for_what_it_needs(jobs: list[list[str]], project: Project) -> None:
    done = set(project.jobs(*REPORTS, "--configfile", "gpu.yaml", "--forceall"))
    assert {job[0] for job in jobs} == done
    assert len(done) > 50
    for rule, threads, memory, minutes, gpu, _ in jobs:
        assert int(threads) >= 1, rule
        assert 100 <= int(memory) < 1_000_000, rule
        assert 1 <= int(minutes) <= 20_000, rule
        assert int(gpu) == (0 if WITHOUT_GPU.match(rule) else 1), rule


def test_a_job_that_failed_asks_for_more(jobs: list[list[str]]) -> None:
    first, second = [job for job in jobs if job[0] == "tables_headline"]
    assert int(second[2]) > int(first[2]), "memory"
    assert int(second[3]) > int(first[3]), "minutes"


def test_gpus_are_asked_for_as_the_site_wants(tmp_path: Path) -> None:
    """A kind of gres in the profile takes the place of the generic `gpu`."""
    target = "checkpoints/smoke/tracking/siamfc/teacher/seed0.safetensors"
    found = submitted(Project.copy(tmp_path / "project"), target, "--default-resources", *DEFAULTS, "gres='gpu:a100'")
    assert {(job[0], *job[4:]) for job in found} == {
        ("dataset", "0", "[]"),
        ("crop_clips", "0", "[]"),
        ("train_siamfc_teacher", "0", "[gpu:a100:1]"),
    }


def test_short_jobs_of_a_group_take_turns_on_a_gpu(tmp_path: Path) -> None:
    """Two look-up tables in one job: one GPU and the memory of one of them, and the time of both."""
    targets = [f"checkpoints/smoke/person_search/{name}/lookup/reid/seed0.safetensors" for name in ("cuhk_sysu", "prw")]
    group = ("--groups", "lookup_table=lookup", "--group-components", "lookup=8", "--retries", "0")
    options = (*targets, "--default-resources", *DEFAULTS, "gres=''", *group)
    project = Project.copy(tmp_path / "project")
    found = submitted(project, *options, check=False)  # its files are not made here
    assert sorted(job[0] for job in found) == ["GROUP", "dataset", "dataset", "train_reid", "train_reid"]
    listed = list_jobs(project.root, Path("gpu.yaml"), targets, options=["--default-resources", *DEFAULTS])
    alone = next(job.resources for job in listed if job.rule == "lookup_table")
    assert found[-1][1:5] == ["1", str(alone["mem_mb"]), str(2 * alone["runtime"]), "1"]


def test_the_slurm_profile_builds_the_paper(project: Project) -> None:
    """With groups, scopes, parts and the example of partitions; no SLURM is needed to look."""
    options = ("--profile", "profiles/slurm", "--slurm-partition-config", "profiles/slurm/partitions.yaml")
    said = project.snakemake("all", "--configfile", "config/paper.yaml", *options, "--dry-run", timeout=600)
    assert re.search(r"(?m)^report_headline +1$", said)
    trackers = re.search(r"(?m)^join_otb100 +(\d+)$", said)
    assert trackers
    assert re.search(rf"(?m)^track_otb100_part +{4 * int(trackers[1])}$", said)


def test_the_groups_of_the_slurm_profile_are_rules(project: Project) -> None:
    profile: dict[str, Any] = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "profile.yaml").read_text())
    assert set(profile["groups"]) <= rules(project, "config/paper.yaml")
    assert set(profile["group-components"]) <= set(profile["groups"].values())


def test_no_rule_names_a_partition_or_an_account() -> None:
    for file in [REPOSITORY / "Snakefile", *(REPOSITORY / "workflow").rglob("*.smk")]:
        assert not re.search(r"slurm_(partition|account)|--partition|--account", file.read_text()), file


FAKES = {
    "bsub": 'cat >/dev/null; echo "$@" >asked; echo "Job <77> is submitted to queue <normal>."',
    "qsub": 'echo "$@" >asked; case "$*" in *-terse*) echo 77 ;; *) echo 77.server ;; esac',
    "bjobs": "cat state",
    "qstat": "cat state",
    "qacct": "cat account",
}
"""Answers in the words of the systems' manuals; none of the systems is here."""


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A folder with the programs of LSF, PBS and Grid Engine."""
    (tmp_path / "bin").mkdir()
    for name, text in FAKES.items():
        executable(tmp_path / "bin" / name, f"#!/bin/sh\n{text}\n")
    (tmp_path / "job.sh").write_text("#!/bin/sh\n")
    return tmp_path


def run(folder: Path, script: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    return subprocess.run(
        [str(GENERIC / script), *words], cwd=folder, env=variables, capture_output=True, text=True, check=check
    )


@pytest.mark.parametrize(
    ("name", "number", "words", "gpu"),
    [
        ("lsf", "77", ["-n 4", "-M 8000MB", "-W 90", "-wa USR1", "-J train"], "-gpu num=2"),
        ("pbs", "77.server", ["select=1:ncpus=4:mem=8000mb", "walltime=01:30:00", "-N train"], ":ngpus=2"),
        ("sge", "77", ["-pe smp 4", "h_vmem=2000M", "h_rt=01:30:00", "-N train"], "gpu=2"),
    ],
)
def test_a_job_is_submitted_in_the_words_of_the_system(
    name: str, number: str, words: list[str], gpu: str, system: Path
) -> None:
    assert run(system, "submit.sh", name, "train", "4", "8000", "90", "2", "job.sh").stdout.strip() == number
    asked = (system / "asked").read_text()
    assert [word for word in [*words, gpu] if word not in asked] == []
    run(system, "submit.sh", name, "train", "4", "8000", "90", "0", "job.sh")
    assert "gpu" not in (system / "asked").read_text()


@pytest.mark.parametrize(
    ("name", "state", "account", "expected"),
    [
        ("lsf", "PEND", "", "running"),
        ("lsf", "DONE", "", "success"),
        ("lsf", "EXIT", "", "failed"),
        ("pbs", "    job_state = R", "", "running"),
        ("pbs", "    job_state = F\n    Exit_status = 0", "", "success"),
        ("pbs", "    job_state = F\n    Exit_status = 271", "", "failed"),
        ("sge", "job_number: 77", "", "running"),
        ("sge", None, "failed       0\nexit_status  0", "success"),
        ("sge", None, "failed       0\nexit_status  75", "failed"),
        ("sge", None, "failed       37  : qmaster enforced h_rt\nexit_status  0", "failed"),
        ("sge", None, None, "running"),
    ],
)
def test_how_a_job_goes_is_read_from_what_the_system_says(
    name: str, state: str | None, account: str | None, expected: str, system: Path
) -> None:
    for file, text in (("state", state), ("account", account)):
        if text is not None:
            (system / file).write_text(text + "\n")
    assert run(system, "status.sh", name, "77").stdout == f"{expected}\n"


@pytest.mark.parametrize("script", ["submit.sh", "status.sh"])
def test_an_unknown_system_is_refused(script: str, system: Path) -> None:
    done = run(system, script, "condor", "train", "1", "1", "1", "0", "job.sh", check=False)
    assert done.returncode == 1
    assert "unknown system 'condor'" in done.stderr
