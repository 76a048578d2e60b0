"""What jobs are given, what a run without data says, and the plan: against the DAG as Snakemake lists it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distillery.config.profile import load
from distillery.planning.cluster import load_cluster
from distillery.planning.estimates import load_estimates
from distillery.planning.forecast import seconds
from distillery.planning.listing import Job, list_jobs
from distillery.planning.plan import on_cluster, planned
from distillery.planning.rules import rule_table, work_of
from project import REPOSITORY, Project, environment

BOTH = ["all", "ablations"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which nothing has been made."""
    return Project.copy(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def paper(fresh: Project) -> list[Job]:
    return list_jobs(fresh.root, Path("config/paper.yaml"), BOTH)


def commands(project: Project) -> dict[str, str]:
    """Static beginning of a rule's name -> its shell command."""
    found = {}
    for file in sorted((project.root / "workflow/rules").glob("*.smk")):
        for block in re.split(r"^ *rule\b", file.read_text(encoding="utf-8"), flags=re.M)[1:]:
            name = re.match(r" (\w+):", block) or re.search(r'name:\s+f"([^"{]+)', block)
            assert name is not None
            found[name[1]] = re.sub(r'"\s+"', "", block.partition("shell:")[2])
    return found


class TestResources:
    def test_a_job_gets_a_gpu_if_its_command_computes_with_torch(self, fresh: Project, paper: list[Job]) -> None:
        torch = "train-|record-teacher|select-students|lookup|profile-networks|response-maps|feature-space|search"
        on_a_gpu, known = re.compile(rf"distillery (?:{torch}|track [^|]*--checkpoint)"), commands(fresh)
        seen = set()
        for job in paper:
            if job.rule in BOTH:
                continue
            name = max((name for name in known if job.rule.startswith(name)), key=len)
            # One loop makes the rules of `search`, those of the trivial methods too, which need no GPU.
            wanted = bool(on_a_gpu.search(known[name])) and not job.rule.endswith("_baseline")
            assert job.resources["gpu"] == wanted, job.rule
            seen.add(name)
        assert len(seen) > 15

    def test_every_job_has_time_memory_and_disk(self, paper: list[Job]) -> None:
        for job in paper:
            if job.rule not in BOTH:
                assert job.resources["runtime"] >= 30, job
                assert 500 <= job.resources["mem_mb"] <= 64_000, job
                assert 1 <= job.resources["disk_mb"] < 1_000_000, job

    def test_the_largest_training_gets_the_most_time(self, paper: list[Job]) -> None:
        times = {job.rule: job.resources["runtime"] for job in paper if job.rule not in BOTH}
        assert times["train_siamrpn_teacher"] > times["train_siamrpn_ground_truth"] > times["train_siamfc_teacher"]

    def test_parts_of_a_benchmark_get_gpus_and_their_joining_knows_the_checkpoint(self, fresh: Project) -> None:
        target = "results/paper/predictions/otb100/siamfc/teacher/seed0.json"
        asked = ["--set-scatter", "tracking=4"]
        jobs = list_jobs(fresh.root, Path("config/paper.yaml"), [target], options=asked)
        parts = [job for job in jobs if job.rule == "track_otb100_part"]
        assert [job.resources["gpu"] for job in parts] == [1, 1, 1, 1]
        (join,) = (job for job in jobs if job.rule == "join_otb100")
        training = next(job.number for job in jobs if job.rule == "train_siamfc_teacher")
        # An index names the checkpoint that made it; the audit looks for it among the inputs.
        assert join.needs == {training, *(job.number for job in parts)}
        assert join.resources["gpu"] == 0

    def test_a_profile_of_the_processor_asks_for_no_gpu(self, fresh: Project) -> None:
        assert not any(job.resources.get("gpu") for job in list_jobs(fresh.root, Path("config/smoke.yaml"), []))

    def test_the_command_line_goes_first(self, fresh: Project) -> None:
        asked = ["--set-resources", "publish_headline:runtime=77", "publish_headline:gpu=3"]
        jobs = list_jobs(fresh.root, Path("config/smoke.yaml"), [], options=asked)
        found = {job.rule: job.resources for job in jobs}
        assert (found["publish_headline"]["runtime"], found["publish_headline"]["gpu"]) == (77, 3)
        assert found["publish_headline"]["mem_mb"] == found["report_headline"]["mem_mb"]
        assert (found["report_headline"]["runtime"], found["report_headline"]["gpu"]) == (30, 0)


class TestTheTableKnowsTheWorkflow:
    @pytest.mark.parametrize("profile", ["paper", "smoke"])
    def test_every_rule(self, fresh: Project, paper: list[Job], profile: str) -> None:
        config = Path(f"config/{profile}.yaml")
        jobs = paper if profile == "paper" else list_jobs(fresh.root, config, BOTH)
        estimates = load_estimates(REPOSITORY / "config/estimates.yaml")
        table = rule_table(load(REPOSITORY / config), estimates)
        for job in jobs:
            if job.rule not in BOTH:
                assert job.rule in table, f"{job.rule} has no estimate: add it to distillery.planning.rules"
                work = work_of(table, estimates, job.rule, job.wildcards)
                assert work.kind != "other", job.rule
                assert seconds(work, estimates, threads=job.threads, speed=1.0) > 0, job.rule


class TestPlan:
    def plan(self, project: Project, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "distillery", "plan", *arguments]
        variables = environment() | {"PYTHONPATH": str(REPOSITORY / "src")}
        done = subprocess.run(command, cwd=project.root, env=variables, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    def test_the_smoke_run_on_a_cluster(self, fresh: Project, tmp_path: Path) -> None:
        """One job of it with a time that was measured."""
        folder = tmp_path / "results/smoke/benchmarks/dataset"
        folder.mkdir(parents=True)
        (folder / "prw.jsonl").write_text('{"s": 7200.0}\n')
        out = tmp_path / "plan.json"
        asked = ["--configfile", "config/smoke.yaml", "--cluster", "config/cluster.yaml", "--out", str(out)]
        said = self.plan(fresh, *asked, "--benchmarks", str(folder.parent)).stdout
        found = json.loads(out.read_text())
        counted = fresh.jobs("--configfile", "config/smoke.yaml")
        assert {rule: row["jobs"] for rule, row in found["rules"].items()} == counted
        assert found["total"]["jobs"] == sum(counted.values())
        assert found["total"]["gpu_hours"] == 0
        assert found["rules"]["dataset"]["longest_hours"] == 2
        assert "1 of" in said and "with their measured time" in said
        assert sum(row["core_hours"] for row in found["rules"].values()) == pytest.approx(found["total"]["core_hours"])
        cluster = found["cluster"]
        assert 2 < cluster["critical_hours"] <= cluster["makespan_hours"] + 1e-9
        assert cluster["critical_path"][0] == "dataset benchmark=prw"
        assert cluster["critical_path"][-1] == "publish_headline"
        assert re.search(r"^\| total +\| +\d+ \|", said, re.M)

    def test_the_order_of_snakemakes_list_does_not_matter(self, fresh: Project, paper: list[Job]) -> None:
        profile = load(REPOSITORY / "config/paper.yaml")
        estimates = load_estimates(REPOSITORY / "config/estimates.yaml")
        cluster = load_cluster(REPOSITORY / "config/cluster.yaml")
        both = [
            on_cluster(estimates, planned(profile, estimates, jobs), cluster)[0].spans for jobs in (paper, paper[::-1])
        ]
        assert both[0] == both[1]

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--configfile", "config/none.yaml"], "config/none.yaml: does not exist"),
            (["--cluster", "config/none.yaml"], "config/none.yaml: cannot be read"),
            (["--cluster", "config/smoke.yaml"], "did you mean"),
            (["--benchmarks", "docs"], "docs: holds no measured jobs"),
            (["--estimates", "config/cluster.yaml"], "config/cluster.yaml"),
        ],
    )
    def test_what_is_wrong_is_said_in_a_sentence(self, fresh: Project, arguments: list[str], sentence: str) -> None:
        done = self.plan(fresh, *arguments, check=False)
        assert done.returncode == 1
        assert sentence in done.stderr and done.stderr.count("\n") == 1

    def test_outside_a_project(self, fresh: Project, tmp_path: Path) -> None:
        for name in ("smoke.yaml", "estimates.yaml"):
            (tmp_path / name).write_bytes((fresh.root / "config" / name).read_bytes())
        asked = ["--configfile", "smoke.yaml", "--estimates", "estimates.yaml"]
        done = self.plan(Project(tmp_path), *asked, check=False)
        assert "holds no Snakefile" in done.stderr


class TestWithoutData:
    def test_a_run_says_once_what_to_get_and_runs_nothing(self, fresh: Project) -> None:
        said = fresh.snakemake("--configfile", "config/paper.yaml", check=False)
        assert said.count("WorkflowError") == 1 and "Error in rule" not in said
        for name in ("got10k", "vid", "det", "youtube_bb", "cuhk_sysu", "prw"):  # asked for
            assert said.count(f"({name}): ") == 1 and f"run `distillery fetch {name}`" in said
        for name in ("otb100", "vot2019", "lasot", "coco"):  # these come by themselves
            assert said.index("The run gets the rest by itself") < said.index(f"({name}): run `distillery fetch")
        assert "Traceback" not in said
        assert not (fresh.root / "datasets").exists() and not (fresh.root / "data/paper").exists()

    def test_a_part_needs_its_own_sets_alone(self, fresh: Project) -> None:
        target = "results/paper/predictions/cuhk_sysu/baseline/histogram/seed0.npz"
        said = fresh.snakemake(target, "--configfile", "config/paper.yaml", check=False)
        assert "1 thing that this run reads must be got first" in said
        assert "(cuhk_sysu)" in said and "(got10k)" not in said
