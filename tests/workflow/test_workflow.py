"""The workflow as it is written: profiles that build, errors that speak, rules that stay small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from distillery.profiling import MEASURES
from distillery.sources import NOT_PART_OF_A_RESULT, ROOT, closure
from project import Project

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
    for directive in ("input:", "output:", "log:", "message:", "shell:"):
        assert directive in text, directive
    assert "lambda" not in text


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_no_absolute_path_is_written_into_the_workflow(file: Path) -> None:
    assert not re.findall(r"""["'](?:/|~)[\w]""", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("profile", ["smoke", "mini", "paper"])
def test_every_profile_builds_the_same_rules(project: Project, profile: str) -> None:
    jobs = project.jobs("--configfile", f"config/{profile}.yaml")
    config = yaml.safe_load((project.root / f"config/{profile}.yaml").read_text())
    seeds = len(config["seeds"])
    assert jobs["dataset"] == 3
    assert jobs["train_reid"] == jobs["lookup_table"] == seeds
    assert jobs["train_search"] == seeds * len(config["person_search"]["networks"]) * len(
        config["person_search"]["runs"]
    )
    networks = sum(len(run["networks"]) for run in config["tracking"]["runs"].values())
    assert jobs["track"] == seeds * networks
    assert jobs["score_tracking"] == seeds * networks + 2
    assert jobs["score_search"] == jobs["search"] + 1 == jobs["train_search"] + seeds + 1
    assert jobs["publish"] == jobs["report"] == jobs["tables"] == jobs["figures"] == 1


def test_the_default_profile_is_mini(project: Project) -> None:
    assert project.jobs() == project.jobs("--configfile", "config/mini.yaml")


def test_calls_that_run_nothing_need_no_number_of_cores(project: Project) -> None:
    for call in ("--dry-run", "--unlock", "--lint"):
        command = [sys.executable, "-m", "snakemake", call]
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]


def test_a_few_values_can_be_laid_over_the_default(project: Project, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("seeds: [0]\n")
    assert project.jobs("--configfile", str(tmp_path / "one.yaml"))["train_reid"] == 1


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
    target = "checkpoints/smoke/person_search/lookup/reid/seed0.safetensors"
    assert project.jobs(target, "--configfile", str(other)) == {"dataset": 1, "lookup_table": 1}


def handlers() -> dict[str, str]:
    """Command -> name of the function in commands.py that runs it."""
    tree = ast.parse((ROOT / "cli.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        call.args[0].value: call.args[1].attr
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id == "command"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[1], ast.Attribute)
    }


def imported_by(function: str) -> set[str]:
    """Modules of the package that a function of commands.py imports."""
    tree = ast.parse((ROOT / "commands.py").read_text(encoding="utf-8"))
    (body,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    found = set()
    for node in ast.walk(body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("distillery"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                path = ROOT.joinpath(*inner.split(".")[1:])
                found.add(inner if path.with_suffix(".py").exists() or path.is_dir() else str(node.module))
    return found


@pytest.mark.parametrize("name", rules())
def test_a_rule_declares_the_sources_of_its_command(name: str) -> None:
    """Whatever the command imports must be an input of the rule, or an edit of it would go unnoticed."""
    text = "\n".join(rules()[name])
    command = re.search(r"python -m distillery ([\w-]+)", text)
    assert command, "every rule runs a command of the package"
    if command[1] == "dataset":
        pytest.skip("its modules come from the table of datasets, see test_datasets_declare_their_writers")
    declared = re.search(r"code=sources\((.*?)\)", text)
    assert declared
    files = set(closure(*re.findall(r'"([\w.]+)"', declared[1])))
    imports = imported_by(handlers()[command[1]]) - NOT_PART_OF_A_RESULT
    if command[1] == "score":  # one command for both papers; a rule declares its own
        paper = "tracking" if "tracking" in name else "person_search"
        imports = {module for module in imports if paper in module or module.count(".") == 1}
    for module in imports:
        assert set(closure(module)) <= files, f"{name} does not declare {module}"


def test_the_measurement_declares_what_it_measures_with() -> None:
    """`profiling` names these modules in a table, which the import graph does not show."""
    declared = "\n".join(rules()["profile_networks"])
    assert all(f'"{module}"' in declared for module in MEASURES.values())


def test_datasets_declare_their_writers() -> None:
    from distillery import datasets

    for benchmark, row in datasets.DATASETS.items():
        names = {file.name for file in closure(*datasets.modules(benchmark))}
        assert f"{benchmark}.py" in names
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


def test_tables_and_figures_are_those_that_the_paper_stage_makes() -> None:
    from distillery.paper import display

    text = next(file for file in RULES if file.name == "common.smk").read_text(encoding="utf-8")
    names = {
        node.targets[0].id: node.value
        for node in ast.walk(ast.parse(_assignments(text)))
        if isinstance(node, ast.Assign)
    }  # type: ignore[attr-defined]
    assert set(ast.literal_eval(names["TABLES"])) == set(display.TABLES)
    captions = {file.stem for file in (RULES[0].parents[1] / "report").glob("*.rst")}
    figures = set(ast.literal_eval(names["FIGURES"]))
    assert captions == figures | set(display.TABLES) | {"report", "workflow"}


def _assignments(text: str) -> str:
    """The lists of names in a Snakefile, which is not Python as a whole."""
    return "\n".join(re.findall(r"(?ms)^(?:TABLES|FIGURES) = \[.*?\]$", text))
