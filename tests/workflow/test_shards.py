"""Families whose pairs have sources are trained from shards; one rule makes them for all that ask for the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from distillery.sources import closure
from distillery.tracking.training_sets import registry
from project import Project


def test_the_rules_of_a_profile_with_sources(tmp_path: Path) -> None:
    project = Project.copy(tmp_path)
    content: dict[str, Any] = yaml.safe_load((project.root / "config/smoke.yaml").read_text())
    content["data"] |= {name: {"source": "local", "root": f"datasets/{name}"} for name in ("vid", "coco")}
    asked = {"sources": [{"name": "vid", "use": 100}, {"name": "coco", "max_gap": 1}], "shards": {"side": 511}}
    content["tracking"]["siamrpn"]["pairs"] |= asked
    content["tracking"]["siamrpn"]["stored_crops"] = False
    (project.root / "config/sources.yaml").write_text(yaml.safe_dump(content))
    said = project.snakemake("--dry-run", "--printshellcmds", "--configfile", "config/sources.yaml")
    commands = [line for line in said.splitlines() if "python -m distillery " in line]
    # What stands behind --data is the rule's input.
    (making,) = (line for line in commands if "crop-shards --params" in line)
    assert "--data data/smoke/vid.json data/smoke/coco.json --out recordings/smoke/siamrpn/shards --workers" in making
    trained = [line for line in commands if " train-trackers " in line]
    for line in trained:
        shards = "--data recordings/smoke/siamrpn/shards.json " in line
        assert shards == ("/tracking/siamrpn/" in line)
        assert shards != ("--data data/smoke/got10k.json " in line)
    assert any("/tracking/siamrpn/" in line for line in trained)
    searched = [line for line in commands if " select-students " in line]
    assert searched
    assert all("--data data/smoke/got10k.json " in line for line in searched)


def test_the_rule_declares_the_readers_of_its_own_sets() -> None:
    files = [file.name for file in closure("distillery.tracking.crop_shards", *registry.modules("vid", "coco"))]
    assert {"vid.py", "voc_xml.py", "coco.py", "json_stream.py", "shard_writer.py", "crop_parts.py"} <= set(files)
    assert not {"det.py", "youtube_bb.py"} & set(files)
