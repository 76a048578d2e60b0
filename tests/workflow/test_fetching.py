"""Sets of the register inside the workflow: fetched where they come by themselves, asked for where they do not."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import yaml

from distillery import datasets
from project import Project
from web_server import Site

CONFIG, TARGET = "config/fetching.yaml", "data/fetching/otb100.json"


def packed(folder: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"OTB/{path.relative_to(folder)}")
    return stream.getvalue()


def register(project: Project, **own: object) -> None:
    row = {"title": "OTB-100", "used_for": "tests", "page": "https://otb.example", "licence": "none", "amount": "1 MB"}
    row |= {"marks": ["sequences.txt"], "layout": "NAME/img", "counts": {}, "unverified": "all"}
    (project.root / "config" / "own.yaml").write_text(yaml.safe_dump({"otb100": row | own}))


def test_a_set_of_the_register_is_fetched_once_and_then_linked(tmp_path: Path) -> None:
    project = Project.copy(tmp_path / "project")
    small = {"source": "embedded", "seed": 5, "sequences": 2, "frames": 3, "width": 96, "height": 80}
    datasets.make("otb100", json.dumps(small), tmp_path / "otb100.json")
    profile = yaml.safe_load((project.root / "config" / "smoke.yaml").read_text())
    profile["profile"] = "fetching"
    profile["data"]["otb100"] = {"source": "registry", "registry": "config/own.yaml"}
    (project.root / CONFIG).write_text(yaml.safe_dump(profile))
    call = ("--configfile", CONFIG, "--", TARGET)

    register(project, access="form", ask="fill the form at https://otb.example")
    said = project.snakemake(*call, check=False, timeout=300)
    assert (
        "fill the form at https://otb.example; put it into datasets/downloads/otb100 and run `distillery fetch" in said
    )
    assert not (project.root / "datasets" / "otb100").exists()

    with Site() as site:
        site.content["/otb.zip"] = packed(tmp_path / "otb100")
        register(project, access="open", archives=[{"name": "otb.zip", "urls": [f"{site.url}/otb.zip"]}])
        said = project.snakemake(*call, timeout=300)
        assert "datasets/otb100: is there, made of one file" in said
    root = project.root / "data" / "fetching" / "otb100"
    assert root.resolve() == project.root / "datasets" / "otb100"
    assert (project.root / TARGET).read_bytes() == (tmp_path / "otb100.json").read_bytes()
    assert project.jobs(*call) == {}

    # Records that are lost are written again from what is there; the set itself is never made anew.
    (project.root / "datasets" / "otb100.fetched.json").unlink()
    (project.root / TARGET).unlink()
    before = {path: path.stat().st_mtime_ns for path in (project.root / "datasets").rglob("*")}
    said = project.snakemake(*call, timeout=300)
    assert "datasets/otb100: was there already, and is recorded now" in said
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (project.root / TARGET).read_bytes() == (tmp_path / "otb100.json").read_bytes()
