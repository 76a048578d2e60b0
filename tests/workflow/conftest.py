"""A finished project on which the tests of this folder see what would run again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from project import Project


def outputs(project: Project, *arguments: str) -> list[Path]:
    """Output files of the whole DAG, as Snakemake lists them."""
    rows = project.snakemake("--summary", *arguments).splitlines()
    table = [row.split("\t") for row in rows if "\t" in row]
    assert table[0][0] == "output_file"
    return [project.root / row[0] for row in table[1:]]


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which all of `snakemake` has been made, as far as Snakemake can tell; the files are stand-ins."""
    project = Project.copy(tmp_path_factory.mktemp("done"))
    files = outputs(project)
    assert len(files) > 200
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    # All of them: without --forceall a file that happens to look new is left without a record of how it was made.
    project.snakemake("--touch", "--forceall", "--quiet", "all")
    return project


@pytest.fixture
def project(done: Project, tmp_path: Path) -> Project:
    shutil.copytree(done.root, tmp_path / "project", symlinks=True)  # dates are kept
    return Project(tmp_path / "project")
