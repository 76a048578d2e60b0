"""Which source files a job runs on, found without importing anything.

Snakemake compares declared inputs by content, so a rule that declares the sources of its command is rerun when one of
them is edited, and only then: not when it is touched or rewritten by git, not when the code of another command changes.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "distillery"
ROOT = Path(__file__).resolve().parent

NOT_PART_OF_A_RESULT = frozenset(
    {
        "distillery",  # holds the version only
        "distillery.__main__",
        "distillery.cli",  # parses arguments
        "distillery.audit_commands",  # prints
        "distillery.audit_reports_commands",  # prints
        "distillery.check_commands",  # prints
        "distillery.claims_commands",  # prints
        "distillery.commands",  # prints
        "distillery.fetch_commands",  # prints
        "distillery.parts_commands",  # prints
        "distillery.plan_commands",  # prints
        "distillery.scoring_commands",  # prints
        "distillery.shard_commands",  # prints
        "distillery.store_commands",  # prints
        "distillery.summary",  # prints
        "distillery.engine.progress",  # prints
        "distillery.errors",  # words of error messages
    }
)
"""Modules that only talk to the user: no byte of a result depends on them, so no rule declares them."""


def closure(*modules: str, root: Path = ROOT, package: str = PACKAGE) -> tuple[Path, ...]:
    """Files of the package that running `modules` can execute: themselves and all they import, at any depth.

    Imports are read from the syntax tree wherever they stand, those inside functions too. Imports for type checkers
    only (`if TYPE_CHECKING:`) are left out, and so are the modules of `NOT_PART_OF_A_RESULT`.

    Args:
        modules: Full module names ("distillery.tracking.training"); a package stands for its `__init__`.
        root: Folder of the package.
        package: Name of the package.

    Returns:
        Existing files under `root`, sorted.

    Raises:
        ModuleNotFoundError: If one of `modules`, or a module of the package that it imports, does not exist.
    """
    seen: set[str] = set()
    files: set[Path] = set()
    pending = list(modules)
    while pending:
        module = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        if module in NOT_PART_OF_A_RESULT:
            continue
        file = _file(module, root, package)
        if file is None:
            raise ModuleNotFoundError(f"no module {module!r} under {root}")
        files.add(file)
        # Importing a.b.c runs a/__init__.py and a/b/__init__.py first.
        pending += [".".join(module.split(".")[:depth]) for depth in range(1, module.count(".") + 1)]
        pending += _imports(file, module, root, package)
    return tuple(sorted(files))


def environment() -> dict[str, str]:
    """Variables that make `python -m distillery` mean this interpreter, running the package that lies here."""
    paths = {"PATH": Path(sys.executable).parent, "PYTHONPATH": ROOT.parent}
    return {name: os.pathsep.join(filter(None, [str(folder), os.environ.get(name)])) for name, folder in paths.items()}


def _file(module: str, root: Path, package: str) -> Path | None:
    if module != package and not module.startswith(package + "."):
        return None
    base = root.joinpath(*module.split(".")[1:])
    for file in (base / "__init__.py", base.with_suffix(".py")):
        if file.is_file():
            return file
    return None


@cache
def _imports(file: Path, module: str, root: Path, package: str) -> tuple[str, ...]:
    """Modules of the package that `file` imports itself."""
    found: list[str] = []
    for node in _nodes(ast.parse(file.read_bytes(), filename=str(file))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, file, module)
            # `from a import b`: b is a module where such a file exists, else a name inside a.
            names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
            names = names[:1] + [name for name in names[1:] if _file(name, root, package)]
        else:
            continue
        found += [name for name in names if name == package or name.startswith(package + ".")]
    return tuple(dict.fromkeys(found))


def _origin(node: ast.ImportFrom, file: Path, module: str) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.split(".")
    # In a package's __init__ one dot means the package itself, in a module its parent.
    keep = len(parts) - node.level + (file.name == "__init__.py")
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield other
                yield from _nodes(other)
            continue
        yield child
        yield from _nodes(child)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
