"""The workflow as it is written: profiles that build, errors that speak, rules that stay small."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from distillery.config.paper import figures, tables
from distillery.config.profile import load
from distillery.person_search.methods import METHODS
from distillery.profiling import MEASURES
from distillery.sources import NOT_PART_OF_A_RESULT, ROOT, closure
from distillery.tracking import families, scoring
from distillery.tracking.benchmarks import registry
from distillery.tracking.training_sets import registry as training_sets
from project import Project

Planned = tuple[dict[str, Any], dict[str, int], dict[str, int]]
RULES = sorted((Path(__file__).resolve().parents[2] / "workflow" / "rules").glob("*.smk"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.copy(tmp_path_factory.mktemp("project"))


def rules() -> dict[str, list[str]]:
    """Name -> lines of each rule, without blank lines at its end."""
    found = {}
    for file in RULES:
        parts = re.split(r"(?m)^(?= *rule(?: \w+)?:$)", file.read_text(encoding="utf-8"))
        for part in parts[1:]:
            lines = part.rstrip().splitlines()
            indent = len(lines[0]) - len(lines[0].lstrip())
            body = [lines[0]]
            for line in lines[1:]:
                if line.strip() and len(line) - len(line.lstrip()) <= indent:
                    break
                body.append(line)
            while not body[-1].strip():
                body.pop()
            name = re.search(r"rule (\w+):", lines[0])
            found[name[1] if name else f"{file.stem}: {lines[2].strip()}"] = body
    return found


def test_every_rule_is_found() -> None:
    assert len(rules()) >= 14


@pytest.mark.parametrize("name", rules())
def test_a_rule_is_under_25_lines_and_says_what_it_does(name: str) -> None:
    lines = rules()[name]
    assert len(lines) < 25
    text = "\n".join(lines)
    # What is fetched is made of nothing here: the register's hashes say what it must be.
    wanted = ["output:", "log:", "message:", "shell:"] + (["input:"] if "distillery fetch" not in text else [])
    for directive in wanted:
        assert directive in text, directive
    assert "lambda" not in text


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_no_absolute_path_is_written_into_the_workflow(file: Path) -> None:
    assert not re.findall(r"""["'](?:/|~)[\w]""", file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=["smoke", "mini", "paper"])
def planned(project: Project, request: pytest.FixtureRequest) -> Planned:
    """A profile as it is written, and what dry runs of the headline and of everything would do."""
    profile = f"config/{request.param}.yaml"
    config = yaml.safe_load((project.root / profile).read_text())
    headline = project.jobs("--configfile", profile)
    return config, headline, project.jobs("all", "ablations", "--configfile", profile)


def test_every_profile_builds_the_same_rules(planned: Planned) -> None:
    config, headline, both = planned
    seeds, tracking = len(config["seeds"]), config["tracking"]
    runs = [
        (family, name, run)
        for family in ("siamfc", "siamrpn", "siamrpnpp")
        for name, run in tracking.get(family, {"runs": {}})["runs"].items()
    ]
    # One job for all seeds and benchmarks of a network, or one for each.
    groups = 1 if tracking.get("together", True) else seeds * len(tracking["benchmarks"])
    expected = {"headline": [], "ablations": []}
    for row in runs:
        expected[row[2].get("target", "headline")].append(row)
    for jobs, rows in ((headline, expected["headline"]), (both, runs)):
        for family, name, _ in rows:
            assert jobs[f"train_{family}_{name}"] == seeds
        assert sum(n for job, n in jobs.items() if job.startswith("track_") and job != "track_baseline") == (
            groups * sum(len(run["networks"]) for *_, run in rows)
        )
    assert headline["dataset"] == len(config["data"])
    assert headline["score_tracking_headline"] == len(tracking["benchmarks"])
    assert both["score_tracking_ablations"] == len(tracking["benchmarks"])
    for stage in ("publish", "report", "claims", "tables", "figures", "profile_networks"):
        assert headline[f"{stage}_headline"] == both[f"{stage}_ablations"] == 1
        assert f"{stage}_ablations" not in headline


def test_a_benchmark_is_tracked_in_parts_where_a_snakemake_profile_asks_for_it(
    project: Project, tmp_path: Path
) -> None:
    config = yaml.safe_load((project.root / "config/smoke.yaml").read_text())
    config["tracking"]["together"] = False
    (tmp_path / "apart.yaml").write_text(yaml.safe_dump(config))
    target = "results/smoke/predictions/otb100/siamfc/teacher/seed1.json"
    jobs = {parts: project.jobs(target, "--configfile", str(tmp_path / "apart.yaml"), *parts) for parts in PARTS}
    whole, three = jobs.values()
    assert whole.pop("track_otb100") == 1
    assert (three.pop("track_otb100_part"), three.pop("join_otb100")) == (3, 1)
    assert whole == three
    together = project.jobs(target, "--configfile", "config/smoke.yaml", *list(PARTS)[1])
    assert together["track_benchmarks"] == 1, "a job for all benchmarks and seeds is not divided"


PARTS = ((), ("--set-scatter", "tracking=3"))


def test_every_profile_builds_the_rules_of_person_search(planned: Planned) -> None:
    config, *planned_jobs = planned
    search, seeds = config["person_search"], len(config["seeds"])
    sets, tests = search["benchmarks"], {"cuhk_sysu": ["cuhk_sysu"], "prw": ["prw", "prw_mini"]}
    assert set(sets) == set(tests)

    together = search.get("together", True)
    each = 1 if together else seeds  # jobs that train: one for all seeds, or one for each

    def jobs_of(networks: int) -> int:
        """One for all networks of a run and all their seeds, or one for each."""
        return 1 if together else seeds * networks

    for jobs, targets in zip(planned_jobs, (["headline"], ["headline", "ablations"]), strict=True):
        runs = {name: run for name, run in search["runs"].items() if run.get("target", "headline") in targets}
        places = {name: run.get("benchmarks", sets) for name, run in runs.items()}
        trained = {
            f"train_search_{name}": each * len(places[name]) * len(run["networks"]) for name, run in runs.items()
        }
        assert {name: count for name, count in jobs.items() if name.startswith("train_search_")} == trained
        tables = {
            (place, student["table"])
            for name, run in runs.items()
            for place in places[name]
            for student in run["students"].values()
            if "table" in student
        }
        assert jobs["lookup_table"] == each * len(tables)
        assert jobs["train_reid"] == each * len(sets)
        searched = {
            f"search_{place}_{name}": jobs_of(len(run["networks"]) * len(run["students"]))
            for name, run in runs.items()
            for place in places[name]
        }
        for place in sets:
            searched |= {f"search_{place}_reid": jobs_of(1), f"search_{place}_baseline": 1}
        assert {name: count for name, count in jobs.items() if name.startswith("search_")} == searched
        scored = {
            f"score_{test}_{run.get('target', 'headline')}": 1
            for name, run in runs.items()
            for place in places[name]
            for test in tests[place]
        }
        assert {name: n for name, n in jobs.items() if name.startswith("score_") and "tracking" not in name} == scored
        assert jobs["feature_space"] == 1
        made = search.get("pretraining", {"networks": []})["networks"]
        assert {name for name in jobs if name.startswith("pretrain_")} == {f"pretrain_{name}" for name in made}
        assert jobs.get("pretraining_data", 0) == (1 if made else 0)


def test_the_default_profile_is_mini(project: Project) -> None:
    assert project.jobs() == project.jobs("--configfile", "config/mini.yaml")


def test_calls_that_run_nothing_need_no_number_of_cores(project: Project) -> None:
    for call in ("--dry-run", "--unlock", "--lint"):
        command = [sys.executable, "-m", "snakemake", call]
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]


def test_a_few_values_can_be_laid_over_the_default(project: Project, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("seeds: [0]\n")
    assert project.jobs("--configfile", str(tmp_path / "one.yaml"))["train_reid"] == 2  # one a training set


def test_an_unknown_key_is_one_sentence_that_names_the_nearest(project: Project, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((project.root / "config/smoke.yaml").read_text().replace("{ steps", "{ stepps", 1))
    said = project.snakemake("--dry-run", "--configfile", str(wrong), check=False)
    assert "unknown key" in said
    assert "did you mean `steps`" in said
    assert str(wrong) in said
    assert "Traceback" not in said


def test_a_random_table_needs_no_teacher(project: Project, tmp_path: Path) -> None:
    config = yaml.safe_load((project.root / "config/smoke.yaml").read_text())
    config["person_search"]["tables"]["reid"] = {"construction": "random"}
    other = tmp_path / "random.yaml"
    other.write_text(yaml.safe_dump(config))
    target = "checkpoints/smoke/person_search/prw/lookup/reid/seed0.safetensors"
    assert project.jobs(target, "--configfile", str(other)) == {"dataset": 1, "lookup_table": 1}


@pytest.mark.parametrize("together", [True, False])
def test_a_job_that_trains_names_its_seeds_and_their_files(project: Project, tmp_path: Path, together: bool) -> None:
    config = yaml.safe_load((project.root / "config/smoke.yaml").read_text())
    config["person_search"]["together"] = together
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(config))
    folder = "checkpoints/smoke/person_search/prw"
    targets = [f"{folder}/qeeps/large-qeeps/seed{seed}.safetensors" for seed in config["seeds"]]
    said = project.snakemake(*targets, "--dry-run", "--printshellcmds", "--configfile", str(other))
    commands = re.findall(r"distillery ([\w-]+) --params '(.*?)' --data \S+ --seeds ([\d ]+?) (--.*?) 2>&1", said)
    found = sorted(
        (command, json.loads(job)["seed"], seeds, sorted(set(re.findall(rf"{folder}/(\S+)\.safetensors", files))))
        for command, job, seeds, files in commands
    )
    students = config["person_search"]["runs"]["oim"]["students"], config["person_search"]["runs"]["qeeps"]["students"]
    oim, qeeps = ([f"{name.split('_')[0]}/large-{name}" for name in one] for one in students)
    taught = ["detector/large-detector", "lookup/reid"]
    stages = {
        ("train-reid", "reid/teacher"),
        ("lookup", "reid/teacher", "lookup/reid"),
        ("train-search", "detector/large-detector"),
        ("train-search", *taught, *oim),
        ("train-search", *taught, *oim, *qeeps),
    }
    grain = [(0, "0 1")] if together else [(seed, str(seed)) for seed in config["seeds"]]
    assert found == sorted(
        (command, first, seeds, sorted(f"{name}/seed{{seed}}" for name in files))
        for command, *files in stages
        for first, seeds in grain
    )


def handlers() -> dict[str, tuple[str, str]]:
    """Command -> module and name of the function that runs it."""
    found = {}
    for file in (ROOT / "cli.py", *sorted(ROOT.glob("*_commands.py"))):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "command"):
                continue
            match call.args[:2]:
                case [ast.Constant(value=str(name)), ast.Attribute(value=ast.Name(id=module), attr=function)]:
                    found[name] = (module, function)
                case [ast.Constant(value=str(name)), ast.Name(id=function)]:
                    found[name] = (file.stem, function)
    return found


def imported_by(module: str, function: str) -> set[str]:
    """Modules of the package that the function of a command imports."""
    tree = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))
    (body,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    found = set()
    for node in ast.walk(body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("distillery"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                path = ROOT.joinpath(*inner.split(".")[1:])
                found.add(inner if path.with_suffix(".py").exists() or path.is_dir() else str(node.module))
    return found


BY_NAME = {
    "tracking_modules": families.tracking_modules("siamfc"),
    "tracker_sources": families.tracking_modules("siamfc") + registry.modules(*registry.BENCHMARKS),
    "registry.modules": registry.modules(*registry.BENCHMARKS),
    "scoring_sources": ["distillery.tracking.scoring", "distillery.tracking.indices", *scoring.modules("otb100")],
    "training_modules": families.training_modules("siamfc"),
    "family_sources": families.training_modules("siamfc"),
    "lookup_sources": ["distillery.person_search.tables"],
    "shard_sources": ["distillery.tracking.crop_shards", *training_sets.modules(*training_sets.TRAINING_SETS)],
    "selection_sources": ["distillery.tracking.selecting", *families.training_modules("siamfc")],
}
"""What the functions of workflow/rules declare; that an edit of it reruns its users is shown in test_reruns.py."""


@pytest.mark.parametrize("name", rules())
def test_a_rule_declares_the_sources_of_its_command(name: str) -> None:
    """Whatever the command imports must be an input of the rule, or an edit of it would go unnoticed."""
    text = "\n".join(rules()[name])
    command = re.search(r"python -m distillery ([\w-]+)", text)
    assert command, "every rule runs a command of the package"
    if command[1] == "dataset":
        pytest.skip("its modules come from the table of datasets, see test_datasets_declare_their_writers")
    if command[1] == "fetch":
        pytest.skip("its result is held to recorded hashes, and an edit must not download a terabyte again")
    declared = re.search(r"code=(?:sources\()?(.*?),?\n", text)
    assert declared
    named = [module for words, modules in BY_NAME.items() if words in declared[1] for module in modules]
    files = set(closure(*re.findall(r'"(distillery[\w.]+)"', declared[1]), *named))
    imports = imported_by(*handlers()[command[1]]) - NOT_PART_OF_A_RESULT
    if command[1] == "score-all":  # one command for both papers; a rule declares its own
        paper = "tracking" if "tracking" in name else "person_search"
        imports = {module for module in imports if paper in module or module.count(".") == 1}
    for module in imports:
        assert set(closure(module)) <= files, f"{name} does not declare {module}"


def test_the_measurement_measures_every_family() -> None:
    """`profiling` names its modules in a table, which the import graph does not show."""
    costs = {row.cost for row in families.FAMILIES.values()} | {"distillery.person_search.cost"}
    assert set(MEASURES.values()) == costs
    assert set(MEASURES) == {*families.FAMILIES, *METHODS, "reid"}


def test_datasets_declare_their_writers() -> None:
    from distillery import datasets

    for benchmark, row in datasets.DATASETS.items():
        names = {file.name for file in closure(*datasets.modules(benchmark))}
        if row.writer is None:  # real copies alone
            continue
        assert row.writer.split(":")[0].rsplit(".", 1)[1] + ".py" in names
    street = {file.name for file in closure(*datasets.modules("cuhk_sysu"))}
    assert "video.py" not in street, "an edit of the video world must not draw the streets anew"


def test_the_workflow_reads_without_torch() -> None:
    """Every job of a cluster run parses the workflow again."""
    program = (
        "import sys, distillery.datasets, distillery.config.jobs, distillery.sources, distillery.cli;"
        "heavy = {'torch', 'torchvision', 'cv2', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules);"
        "print(*sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper"])
def test_every_table_and_figure_has_a_caption(project: Project, profile: str) -> None:
    loaded = load(project.root / f"config/{profile}.yaml")
    wanted = {
        name for target in ("headline", "ablations") for name in (*tables(loaded, target), *figures(loaded, target))
    }
    captions = {file.stem for file in (RULES[0].parents[1] / "report").glob("*.rst")}
    assert captions >= wanted | {"claims", "report", "workflow"}
    assert wanted >= {"tracking", "person_search", "ablations", "selection", "success", "bubbles"}
