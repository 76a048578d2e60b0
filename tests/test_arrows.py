"""Who may import whom (docs/architecture.md), read from the syntax trees."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distillery import sources
from distillery.sources import ROOT, closure

MODULES = {
    ".".join(("distillery", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
HEAVY = {"torch", "torchvision"}

# Lower floors never import higher ones. A module stands on the floor of the longest name that fits.
FLOORS = {
    "distillery": 4,  # cli, __main__
    "distillery.datasets": 3,
    "distillery.profiling": 3,
    "distillery.store": 3,
    "distillery.paper": 2,
    "distillery.audit": 2,
    "distillery.tracking": 2,
    "distillery.person_search": 2,
    "distillery.distill": 1,
    "distillery.engine": 1,
    "distillery.data": 1,
    "distillery.config": 0,
    "distillery.errors": 0,
    "distillery.files": 0,
    "distillery.sources": 0,
}


def floor(module: str) -> int:
    if module == "distillery":  # the version, which anyone may read
        return -1
    return FLOORS[max((name for name in FLOORS if module == name or module.startswith(name + ".")), key=len)]


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    """Full names that a file imports; with `top_level` only what is imported as the module is."""
    tree = ast.parse(path.read_bytes())
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    late = {id(inner) for function in functions for inner in ast.walk(function)} if top_level else set()
    found: set[str] = set()
    for node in sources._nodes(tree) if top_level else ast.walk(tree):  # without what only type checkers import
        if id(node) in late:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in inner}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_nobody_imports_from_a_higher_floor(module: str) -> None:
    for name in imports(MODULES[module]):
        if name in MODULES:
            assert floor(name) <= floor(module), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_the_two_papers_do_not_know_each_other(module: str) -> None:
    for mine, other in (("tracking", "person_search"), ("person_search", "tracking")):
        if module.startswith(f"distillery.{mine}"):
            assert not [name for name in imports(MODULES[module]) if name.startswith(f"distillery.{other}")]


LIGHT = [
    module
    for module in MODULES
    if module.split(".")[1:2] in (["config"], ["errors"], ["files"], ["sources"], ["store"], ["cli"], ["datasets"])
    or {"benchmarks", "protocols", "protocol", "scoring", "worlds"} & set(module.split("."))
]


def test_the_light_modules_are_found() -> None:
    assert len(LIGHT) > 20


@pytest.mark.parametrize("module", LIGHT)
def test_scoring_and_the_worlds_need_no_torch(module: str) -> None:
    """Neither they nor what they import, when they are imported."""
    seen, pending = set(), [module]
    while pending:
        name = pending.pop()
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        found = imports(MODULES[name], top_level=True)
        assert not HEAVY & {other.split(".")[0] for other in found}, f"{module} imports torch through {name}"
        pending += found


def test_the_command_line_starts_without_torch() -> None:
    program = "import sys, distillery.cli; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_small_and_readable(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    assert text.count("\n") < 300, "a file is one idea, under 300 lines"


def test_nothing_is_read_through_pickle() -> None:
    for module, path in MODULES.items():
        names = imports(path)
        assert not {"pickle", "dill", "joblib", "shelve"} & names, module
        text = path.read_text(encoding="utf-8")
        for forbidden in ("allow_pickle=True", "yaml.load(", "yaml.unsafe_load"):
            assert forbidden not in text, f"{module}: {forbidden}"
        # A file of weights of the user's may be torch's own; of it nothing but tensors is taken.
        calls = re.findall(r"torch\.load\((?:[^()]|\([^()]*\))*\)", text)
        assert text.count("torch.load(") == len(calls) and all("weights_only=True" in call for call in calls), module


def test_the_closure_agrees_with_what_python_loads() -> None:
    """The static closure against the interpreter: whatever importing a module loads must be declared."""
    for module in ("distillery.tracking.scoring", "distillery.person_search.scoring", "distillery.datasets"):
        program = (
            f"import sys, {module}; "
            "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'distillery' and m.__file__))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        loaded = {Path(file).resolve() for file in done.stdout.split()}
        excluded = {ROOT / "__init__.py", ROOT / "errors.py", ROOT / "engine" / "progress.py"}
        assert loaded - excluded <= set(closure(module))
