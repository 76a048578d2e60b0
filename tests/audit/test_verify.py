"""Attacks: each is found, with the file and the cells that rest on it."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest
from PIL import Image

from audit.conftest import CODE, TABLE, Tiny, metrics, predictions, sha, tracker
from distillery.audit.findings import Finding

CELL = "table tracking: SiamFC dim, TSKD, otb100.auc"


def of(findings: list[Finding], file: str) -> list[Finding]:
    return [finding for finding in findings if finding.file == file]


def test_a_finished_run_holds(tiny: Tiny) -> None:
    assert tiny.findings() == []


def test_a_moved_project_holds(finished: Tiny, tmp_path: Path) -> None:
    """Restored from a bundle: other dates, no records of Snakemake, no git."""
    shutil.copytree(finished.root, tmp_path / "elsewhere", ignore=shutil.ignore_patterns(".snakemake", ".git"))
    assert Tiny(tmp_path / "elsewhere").findings() == []


def a_prediction(tiny: Tiny) -> str:
    return str(sorted(tiny.path(predictions(0)).rglob("*.txt"))[0].relative_to(tiny.root))


def shift(tiny: Tiny, name: str) -> None:
    """Moves the last box of a result far away."""
    lines = tiny.path(name).read_text().splitlines()
    lines[-1] = "0,0,5,5"
    tiny.path(name).write_text("\n".join(lines) + "\n")


def test_one_changed_line_of_a_prediction_is_found(tiny: Tiny) -> None:
    name = a_prediction(tiny)
    shift(tiny, name)
    findings = tiny.findings()
    (changed,) = of(findings, name)
    assert "was changed after the run" in str(changed) and CELL in changed.cells
    # What the metrics would be now differs too.
    assert [finding.problem for finding in of(findings, metrics(0))] == ["is not what its inputs give"]


def test_a_changed_prediction_is_found_although_index_and_manifest_were_edited_to_match(tiny: Tiny) -> None:
    name, index = a_prediction(tiny), f"{predictions(0)}.json"
    shift(tiny, name)
    content = tiny.read(index)
    content["sequences"][Path(name).stem]["sha256"] = sha(tiny.path(name))
    tiny.write(index, content)
    tiny.edit_manifest(name, index)
    shutil.rmtree(tiny.path(".snakemake"))
    findings = tiny.findings()
    assert [finding.file for finding in findings] == [metrics(0)]
    assert findings[0].problem == "is not what its inputs give" and CELL in findings[0].cells


def test_snakemakes_records_contradict_an_edited_manifest(tiny: Tiny) -> None:
    name = f"{tracker(0)}.safetensors"
    tiny.path(name).write_text("other weights")
    sidecar = tiny.read(f"{tracker(0)}.json")
    tiny.write(f"{tracker(0)}.json", sidecar | {"sha256": sha(tiny.path(name))})
    tiny.edit_manifest(name, f"{tracker(0)}.json")
    found = [str(finding) for finding in tiny.findings(again=False)]
    assert any("by Snakemake's record" in line and name in line and CELL in line for line in found)
    # The index of the predictions names the checkpoint that made them.
    assert any(f"{predictions(0)}.json" in line for line in found)


def test_an_edited_metric_is_found(tiny: Tiny) -> None:
    content = tiny.read(metrics(1))
    content["numbers"]["auc"] = 0.99
    tiny.write(metrics(1), content)
    tiny.edit_manifest(metrics(1))
    shutil.rmtree(tiny.path(".snakemake"))
    (finding,) = tiny.findings()
    assert finding.file == metrics(1) and CELL in finding.cells


def test_an_edited_cell_is_found(tiny: Tiny) -> None:
    tiny.path(TABLE).write_text(tiny.path(TABLE).read_text().replace("0.", "0.9"))
    (finding,) = tiny.findings()
    assert finding.file == TABLE and finding.cells == ("table tracking",)


def test_a_checkpoint_of_another_seed_is_found(tiny: Tiny) -> None:
    one, other = (tiny.path(f"{tracker(seed)}.safetensors") for seed in (0, 1))
    one.write_bytes(other.read_bytes())
    tiny.edit_manifest(f"{tracker(0)}.safetensors")
    shutil.rmtree(tiny.path(".snakemake"))
    found = tiny.findings(again=False)
    assert [finding.file for finding in found] == [f"{tracker(0)}.safetensors", f"{predictions(0)}.json"]
    assert "describes" in found[0].problem and CELL in found[0].cells


def test_renamed_predictions_of_another_tracker_are_found(tiny: Tiny) -> None:
    tiny.write(f"{predictions(0)}.json", tiny.read(f"{predictions(1)}.json"))
    tiny.edit_manifest(f"{predictions(0)}.json")
    shutil.rmtree(tiny.path(".snakemake"))
    found = [str(finding) for finding in tiny.findings(again=False)]
    assert any(f"{predictions(0)}.json" in line and "another checkpoint" in line and CELL in line for line in found)


def test_a_replaced_image_of_a_dataset_is_found(tiny: Tiny) -> None:
    image = sorted(tiny.path("data/tiny/otb100").rglob("*.jpg"))[1]
    Image.new("RGB", (96, 72)).save(image)
    (finding,) = tiny.findings(again=False)
    assert finding.file == str(image.relative_to(tiny.root)) and CELL in finding.cells


def test_a_file_added_to_a_dataset_is_found(tiny: Tiny) -> None:
    tiny.write("data/tiny/otb100/More/groundtruth_rect.txt", "1,1,5,5\n")
    assert [finding.problem for finding in tiny.findings(again=False)] == ["was added to its dataset"]


def test_a_deleted_record_is_found(tiny: Tiny) -> None:
    content = tiny.read("results/tiny/manifest.json")
    name = next(name for name in content["jobs"] if name.startswith("track_") and "seed1" in name)
    del content["jobs"][name]
    tiny.write("results/tiny/manifest.json", content)
    findings = tiny.findings(again=False)
    assert f"{predictions(1)}.json" in {finding.file for finding in findings}
    assert all("has no record of the job" in finding.problem for finding in findings)


def test_a_deleted_record_of_snakemake_is_found(tiny: Tiny) -> None:
    name = base64.urlsafe_b64encode(f"{tracker(0)}.safetensors".encode()).decode()
    tiny.path(f".snakemake/metadata/{name}").unlink()
    assert any("Snakemake's record" in finding.problem for finding in tiny.findings(again=False))


def test_a_result_that_no_rule_made_is_found(tiny: Tiny) -> None:
    added = "results/tiny/metrics/otb100/siamfc/best/seed0.json"
    tiny.write(added, tiny.read(metrics(0)))
    (finding,) = tiny.findings(again=False)
    assert (finding.file, finding.problem) == (added, "was made by no rule of a finished run")


def test_a_lost_file_is_found(tiny: Tiny) -> None:
    tiny.path(f"{tracker(1)}.safetensors").unlink()
    (finding,) = tiny.findings(again=False)
    assert finding.problem == "is gone" and CELL in finding.cells


def test_a_changed_config_is_found(tiny: Tiny) -> None:
    (finding,) = tiny.findings(("another",), again=False)
    assert finding.file == "config/tiny.yaml" and finding.cells == ("table tracking",)


def test_changed_code_is_found(tiny: Tiny) -> None:
    tiny.path(CODE).write_text("print('other code')\n")
    (finding,) = tiny.findings(again=False)
    assert finding.file == CODE and CELL in finding.cells


def test_a_run_of_changed_code_is_found(finished: Tiny, tmp_path: Path) -> None:
    """The tree was dirty when the jobs ran, and was committed or restored after."""
    shutil.copytree(finished.root, tmp_path / "project", symlinks=True)
    tiny = Tiny(tmp_path / "project")
    tiny.path(CODE).write_text("print('dirty')\n")
    tiny.record("dataset", "python -m distillery dataset …", [], ["data/tiny/otb100.json"], tiny_spec(tiny))
    assert tiny.build()["code"]["changed"] == [CODE]
    tiny.path(CODE).write_text("print('code')\n")
    assert tiny.build()["code"]["dirty"] is True
    problems = {finding.problem for finding in tiny.findings(again=False) if finding.file == CODE}
    assert any("was not as in commit" in problem for problem in problems)


def tiny_spec(tiny: Tiny) -> dict:
    content = tiny.read("results/tiny/manifest.json")
    return content["jobs"]["dataset:data/tiny/otb100.json"]["params"]


@pytest.mark.parametrize("way", ["prediction", "weights", "manifest"])
def test_links_and_paths_out_of_the_project_are_refused(tiny: Tiny, way: str) -> None:
    content = tiny.read("results/tiny/manifest.json")
    job = next(name for name in content["jobs"] if name.startswith("dataset"))
    outside = {"prediction": "/etc/passwd", "weights": "../../secret", "manifest": "data/../../x"}[way]
    content["artefacts"][outside] = {"sha256": "0" * 64, "bytes": 1, "kind": "data", "job": job}
    tiny.write("results/tiny/manifest.json", content)
    found = tiny.findings(again=False)
    assert any(finding.file == outside and finding.problem == "is gone" for finding in found)


def stored(tiny: Tiny, **changed: str) -> None:
    """A record of the store that holds the run, but for what is named."""
    listed = tiny.read("results/tiny/manifest.json")["artefacts"]
    files = {path: {"sha256": changed.get(path, entry["sha256"])} for path, entry in listed.items()}
    tiny.write("results/tiny/store.json", {"profile": "tiny", "files": files})


def test_another_file_in_the_store_is_found(tiny: Tiny) -> None:
    stored(tiny)
    assert tiny.findings() == []
    stored(tiny, **{TABLE: "0" * 64})
    (finding,) = tiny.findings()
    assert finding.file == TABLE and finding.problem == "is another file in the store"
    tiny.write("results/tiny/store.json", [])
    assert [finding.problem for finding in tiny.findings()] == ["lists no files"]


def test_the_empty_file_that_stands_for_a_recording_after_a_restore_is_no_finding(tiny: Tiny) -> None:
    """Recordings save work and are not stored; anything else in their place is found."""
    name = "recordings/tiny/siamfc/crops.safetensors"
    tiny.write(name, "crops")
    weights, sidecar = (f"{tracker(0)}.{kind}" for kind in ("safetensors", "json"))
    tiny.record("crop_clips", "python -m distillery crop-clips", ["data/tiny/otb100.json"], [name])
    command = f"python -m distillery train-trackers --out dim={weights}"
    inputs, made = ["data/tiny/otb100.json", name], [weights, sidecar]
    tiny.record("train_siamfc_tskd", command, inputs, made, {"seed": 0, "lr": 0.1})
    tiny.build()
    assert tiny.findings() == []
    tiny.write(name, "")
    tiny.record("train_siamfc_tskd", command, inputs, made, {"seed": 0, "lr": 0.1})
    assert tiny.findings() == []
    tiny.write(name, "other crops")
    assert of(tiny.findings(), name)
