"""Which files a job is said to run on, on packages small enough to say it by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distillery import sources


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "toy"
    files = {
        "__init__.py": "",
        "a.py": "import os\nfrom toy.sub import b\n",
        "sub/__init__.py": "from toy import base\n",
        "sub/b.py": "def late():\n    from .c import thing\n    import toy.d as d\n",
        "sub/c.py": "from ..e import value\nfrom . import sibling\n",
        "sub/sibling.py": "",
        "d.py": "import typing\nif typing.TYPE_CHECKING:\n    import toy.typed\nelse:\n    import toy.plain\n",
        "e.py": "import toy.a\n",  # a circle
        "base.py": "",
        "typed.py": "",
        "plain.py": "",
        "unrelated.py": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def names(root: Path, *modules: str) -> list[str]:
    return [str(file.relative_to(root)) for file in sources.closure(*modules, root=root, package="toy")]


def test_closure_is_transitive_late_relative_and_ends_in_circles(package: Path) -> None:
    assert names(package, "toy.a") == [
        "__init__.py",
        "a.py",
        "base.py",
        "d.py",
        "e.py",
        "plain.py",
        "sub/__init__.py",
        "sub/b.py",
        "sub/c.py",
        "sub/sibling.py",
    ]


def test_a_package_above_is_executed_too(package: Path) -> None:
    assert names(package, "toy.sub.sibling") == ["__init__.py", "base.py", "sub/__init__.py", "sub/sibling.py"]


def test_several_modules_are_joined(package: Path) -> None:
    assert set(names(package, "toy.base", "toy.plain")) == {"__init__.py", "base.py", "plain.py"}


@pytest.mark.parametrize("module", ["toy.nothing", "elsewhere", "toy.sub.nothing"])
def test_an_unknown_module_is_an_error(package: Path, module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=module):
        names(package, module)


def test_a_missing_module_deep_inside_is_an_error(package: Path) -> None:
    (package / "e.py").write_text("import toy.gone\n")
    with pytest.raises(ModuleNotFoundError, match=r"toy\.gone"):
        names(package, "toy.a")


def test_what_only_talks_is_in_no_closure() -> None:
    files = {file.relative_to(sources.ROOT).as_posix() for file in sources.closure("distillery.tracking.training")}
    assert {"engine/loop.py", "engine/randomness.py", "config/tracking.py", "files.py"} <= files
    assert not {"cli.py", "__init__.py", "errors.py", "engine/progress.py", "store.py", "sources.py"} & files
    assert not [file for file in files if file.startswith(("paper/", "person_search/"))]


def test_every_excluded_module_exists() -> None:
    for module in sources.NOT_PART_OF_A_RESULT:
        assert sources._file(module, sources.ROOT, sources.PACKAGE) is not None, module


def test_the_environment_runs_this_package(tmp_path: Path) -> None:
    """From anywhere, and before an installed copy."""
    program = "import distillery; print(distillery.__file__)"
    environment = os.environ | sources.environment()
    done = subprocess.run(
        ["python", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == sources.ROOT / "__init__.py"
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
