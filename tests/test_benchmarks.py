"""The benchmark scripts run, measure what they say and stop where networks differ (at toy sizes, without the peers)."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py"))
SHARED = {"harness.py", "person_search_data.py"}
"""Files that scripts import."""


@pytest.fixture(autouse=True)
def from_the_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts import their neighbours; they set the number of threads and pick kernels by trial."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    threads, vision = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(vision)
    torch.set_deterministic_debug_mode("default")


def run(script: str, *words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(FOLDER / script), *words])
    runpy.run_path(str(FOLDER / script), run_name="__main__")


def rows(text: str) -> list[list[str]]:
    """Cells of every table's body."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("script", SCRIPTS)
def test_compiles_and_says_how_to_run_it(script: str) -> None:
    text = (FOLDER / script).read_text()
    compile(text, script, "exec")
    if script not in SHARED:
        assert f"python benchmarks/{script}" in text
        assert script in (FOLDER / "README.md").read_text()


def test_dim_speed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("dim_speed.py", "--width", "0.06", "--frames", "2", "--rounds", "1", monkeypatch=monkeypatch)
    found = rows(capsys.readouterr().out)
    assert [line[:2] for line in found[2:]] == [
        [family, name] for family in ("SiamFC", "SiamRPN (BIG)") for name in ("teacher", "dim")
    ]
    assert found[2][5] == "1.00"
    assert float(found[3][5]) > 0


def test_joint_students(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("joint_students.py", "--width", "0.06", "--rounds", "1", monkeypatch=monkeypatch)
    text = capsys.readouterr().out
    steps = ["dim alone", "intelligent alone", "both in one job, sharing"]
    found = [line[0] for line in rows(text)]
    assert found[2:5] == steps
    assert found[-1] == "both in one job / two separate jobs"
    assert float(rows(text)[-1][1]) > 0


def test_gpu_on_a_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--device", "cpu", "--width", "0.06", "--rounds", "1", "--mode", "eager"]
    run("gpu.py", *words, monkeypatch=monkeypatch)
    assert len(rows(capsys.readouterr().out)) == 2 + 2 * 2 * 2
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="torch finds no GPU"):
            run("gpu.py", monkeypatch=monkeypatch)


def test_pairs_of_both_families(tmp_path: Path) -> None:
    import training_pairs

    from distillery.config.pairs import Pairs
    from distillery.config.siamfc import SiamFCGeometry
    from distillery.tracking import pairs as sampling

    room = sampling.CACHE_BYTES
    try:
        clips = [training_pairs.write_clip(tmp_path / str(index), 160, 120, index) for index in range(2)]
        calls = training_pairs.candidates(clips, Pairs(epoch=100), SiamFCGeometry(), 3)
        new, kept = (call() for call in calls.values())
        assert torch.equal(new.search, kept.search)
        training_pairs.write_crops(clips, tmp_path / "crops")
    finally:
        sampling.CACHE_BYTES = room
    made = cv2.imread(str(next((tmp_path / "crops" / "0").glob("000003.00.x.jpg"))))
    assert made.shape == (511, 511, 3)


class TestRunAll:
    PRINTED = """`tracking_fps.py --threads 1`

Some machine.

| tracker | frames/s | ms/frame | time / ours | mean overlap with our boxes |
| --- | --- | --- | --- | --- |
| distillery, SiamFC | 12.5 | 79.7 | 1.00 | 1.000 |
| siamfc-pytorch 3957205 | 9.8 | 101.8 | 1.27 | 0.974 |

| tracker | frames/s | ms/frame | time / ours | mean overlap with our boxes |
| --- | --- | --- | --- | --- |
| pysot d04028f, the same network | 10.0 | 99.8 | 1.50 | 0.634 |
| pysot d04028f, as shipped | 11.3 | 88.8 | 1.20 | 0.226 |
"""

    def test_every_ratio_stands_beside_its_target(self) -> None:
        import run_all

        parts = run_all.shown(self.PRINTED, 0, run_all.FPS)
        assert parts[0].startswith("Some machine.")
        assert rows(parts[1])[2:] == [
            ["tracker: siamfc-pytorch 3957205, time / ours", "1.27", "at least 1.3", "**not met**"],
            ["tracker: pysot d04028f, the same network, time / ours", "1.50", "at least 1.2", "met"],
            ["tracker: pysot d04028f, as shipped, time / ours", "1.20", "at least 1.2", "met"],
        ]

    def test_other_tables(self) -> None:
        import run_all

        scoring = (
            "| scoring | pysot, s | here, s | ratio | largest difference of the numbers |\n|---|---|---|---|---|\n"
            "| VOT2018, NanoTrack | 0.8 (0.7 to 0.9) | 0.15 (0.14 to 0.16) | 5.3 | 1e-9 |\n"
            "| OTB-100, 6 trackers | 9 (8 to 9) | 1.20 (1.10 to 1.30) | 8.0 | 1e-9 |\n"
        )
        assert [line[1:] for target in run_all.SCORING for line in run_all.verdicts(scoring, target)] == [
            ["5.3", "at least 3", "met"],
            ["1.20 (1.10 to 1.30)", "at most 1", "**not met**"],
        ]
        speed = "| family | network | times the teacher's speed |\n| --- | --- | --- |\n| SiamFC | dim | 5.53 |\n"
        (target,) = next(section.targets for section in run_all.SECTIONS if "dim_speed" in section.command)
        assert run_all.verdicts(speed, target) == [
            ["SiamFC, dim, times the teacher's speed", "5.53", "at least 3", "met"]
        ]

    def test_targets_of_person_search(self) -> None:
        import run_all

        printed = (
            "| scoring | SeqNet, s | here, s | ratio |\n| --- | --- | --- | --- |\n"
            "| CUHK-SYSU, galleries of 100 | 8.0 (7.0 to 9.0) | 0.2 (0.2 to 0.2) | 40 |\n"
            "| CUHK-SYSU, galleries of 4000 | 200.0 (190.0 to 210.0) | 4.0 (4.0 to 4.0) | 50 |\n"
            "| PRW | 180.0 (170.0 to 190.0) | 0.6 (0.6 to 0.6) | 300 |\n\n"
            "| memory | peak, MB | reading and scoring, s |\n| --- | --- | --- |\n| PRW | 250 | 0.7 |\n\n"
            "| gallery | peak, MB | relative |\n| --- | --- | --- |\n"
            "| 41,000 detections | 200 | 1.00 |\n| 328,000 detections | 900 | 1.40 |\n"
        )
        found = [line for target in run_all.SEARCH_SCORING for line in run_all.verdicts(printed, target)]
        assert [line[1:] for line in found] == [
            ["40", "at least 30", "met"],
            ["50", "at least 60", "**not met**"],
            ["300", "at least 100", "met"],
            ["250", "at most 2000", "met"],
            ["1.40", "at most 1.3", "**not met**"],
        ]

    def test_a_failure_is_said(self) -> None:
        import run_all

        assert run_all.shown("no table", 3, ()) == ["```text\nno table\n```\n", "**Failed**, exit status 3.\n"]

    def test_the_list_runs_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["--peers", str(tmp_path / "my peers"), "--out", str(tmp_path / "r.md"), "--list"]
        with pytest.raises(SystemExit, match="0"):
            run("run_all.py", *words, monkeypatch=monkeypatch)
        printed = capsys.readouterr().out
        assert f"siamrpnpp_parity.py '{tmp_path}/my peers/pysot'" in printed
        assert "benchmarks/scoring.py" not in printed  # no data
        assert f"person_search_scoring.py --seqnet '{tmp_path}/my peers/SeqNet'\n" in printed  # makes its own
        assert not (tmp_path / "r.md").exists()

    def test_sections_that_are_not_measured_again_stay_as_they_are(self, tmp_path: Path) -> None:
        import run_all

        file = tmp_path / "RESULTS.md"
        assert run_all._written(file) == {}
        file.write_text("# Results\n\nHead.\n\n## Scoring\n\n| a |\n\n## Searching an image\n\n```text\n# b\n```\n")
        assert run_all._written(file) == {
            "Scoring": "## Scoring\n\n| a |\n",
            "Searching an image": "## Searching an image\n\n```text\n# b\n```\n",
        }
        titles = [section.title for section in run_all.SECTIONS]
        assert {*run_all._written(FOLDER / "RESULTS.md")} <= {*titles} and len({*titles}) == len(titles)

    def test_scripts_and_options_of_every_section_are_there(self) -> None:
        import run_all

        readme = " ".join((FOLDER / "README.md").read_text().split())
        for section in run_all.SECTIONS:
            script, *words = section.command.split()
            text = (FOLDER / script).read_text() + (FOLDER / "harness.py").read_text()
            assert all(f'"{word}"' in text or word[2:] in text for word in words if word.startswith("--"))
            assert f"python benchmarks/{script}" in readme
        assert {section.command.split()[0] for section in run_all.SECTIONS} == {*SCRIPTS} - SHARED - {"run_all.py"}


class TestHarness:
    def test_a_gpu_is_named_where_it_computes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import harness

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Test GPU")
        assert "Test GPU" not in harness.environment()
        assert harness.environment("cuda").startswith("Test GPU, ")

    def test_candidates_take_turns(self) -> None:
        import harness

        order: list[str] = []
        calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
        seconds = harness.interleaved(calls, 2, warm=1)
        assert order == list("ababab")
        assert {name: len(taken) for name, taken in seconds.items()} == {"a": 2, "b": 2}

    def test_the_ratio_is_taken_within_a_turn(self) -> None:
        import harness

        assert harness.ratio([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == 2.0

    def test_table(self) -> None:
        import harness

        assert harness.table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |\n"

    def test_stand_ins_never_hide_the_real_module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import harness

        harness.stand_in("json", loads=None)
        import json

        assert json.loads("1") == 1
        for name in ("absent_peer", "absent_peer.config"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        harness.stand_in("absent_peer.config", CfgNode=harness.Node)
        made: Any = sys.modules["absent_peer.config"].CfgNode({"A": 1})
        made.B = harness.Node()
        made.merge({"B": {"C": 2}, "D": {"E": 3}})
        assert (made.A, made.B.C, made.D) == (1, 2, {"E": 3})
        with pytest.raises(AttributeError):
            _ = made.missing

    def test_networks_that_differ_are_not_timed(self, capsys: pytest.CaptureFixture[str]) -> None:
        import harness

        one = torch.tensor([1.0, 2.0])
        harness.require_parity("same", harness.difference(one, one))
        assert "differ by 0.0e+00" in capsys.readouterr().out
        with pytest.raises(SystemExit, match="not the same"):
            harness.require_parity("other", harness.difference(one, one + 0.1))

    def test_settling_gives_batch_norm_the_statistics_of_the_batch(self) -> None:
        import harness

        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        batch = 100 + 50 * torch.randn(4, 3, 16, 16)
        harness.settle(network, lambda: network(batch))
        assert not network.training
        assert network[1].momentum == 0.1
        answer = network(batch)
        assert answer.mean().item() == pytest.approx(0, abs=1e-4)
        assert answer.std().item() == pytest.approx(1, abs=0.01)

    def test_the_video_shows_its_target_where_the_boxes_say(self) -> None:
        import harness

        images, boxes = harness.video(3)
        patches = [
            image[int(y) : int(y + h), int(x) : int(x + w)] for image, (x, y, w, h) in zip(images, boxes, strict=True)
        ]
        assert all(np.array_equal(patch, patches[0]) for patch in patches)
        assert not np.array_equal(images[0], images[2])
