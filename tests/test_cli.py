"""What a user meets at the command line: outputs where asked for, and one sentence for every fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from distillery import __version__, cli
from distillery.errors import UserError

OTB = {"source": "embedded", "seed": 5, "sequences": 2, "frames": 3, "width": 96, "height": 80}
PARAMETERS: dict[str, Any] = {
    "family": "siamfc",
    "seed": 0,
    "compute": {"device": "cpu", "precision": "float32", "threads": 1, "save_every": 30.0},
    "geometry": {},
    "pairs": {"epoch": 4},
    "networks": ["dim"],
    "architectures": {"dim": {"width": 0.03}},
    "distillation": None,
    "optimisation": {"steps": 1, "batch": 2},
}

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs a command that must fail as a user's mistake; returns its one line on stderr."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert cli.main([str(argument) for argument in arguments]) == 1
        captured = capsys.readouterr()
        lines = [line for line in captured.err.splitlines() if line]
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("distillery: ")
        assert lines[0].endswith(".")
        assert "Traceback" not in captured.err
        return lines[0]

    return run


@pytest.fixture(scope="module")
def otb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "otb100"
    assert cli.main(["dataset", "--benchmark", "otb100", "--params", json.dumps(OTB), "--out", f"{root}.json"]) == 0
    return root


def checkpoint(path: Path, width: float = 0.03) -> Path:
    from distillery.config.siamfc import SiamFCArchitecture, SiamFCGeometry
    from distillery.engine import checkpoint
    from distillery.tracking.siamfc import SiamFC

    network = SiamFC(SiamFCArchitecture(width=width), SiamFCGeometry())
    checkpoint.save(path, network, network.sidecar())
    return path


def content(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def static(otb: Path, results: Path) -> list[str]:
    return ["track", "--benchmark", "otb100", "--root", str(otb), "--baseline", "static", "--results", str(results)]


class TestWorks:
    def test_dataset_and_check(self, otb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        local = json.dumps({"source": "local", "root": str(otb)})
        assert cli.main(["dataset", "--benchmark", "otb100", "--params", local, "--out", f"{tmp_path}/o.json"]) == 0
        assert f"{tmp_path}/o.json: " in capsys.readouterr().out
        assert cli.main(["check", "--benchmark", "otb100", "--root", str(otb)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "sequences: 2" in lines
        assert "frames: 6" in lines
        assert lines[-1] == f"{otb}: no fault"

    def test_track_and_score(self, otb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        results = tmp_path / "static" / "seed0"
        assert cli.main(static(otb, results)) == 0
        assert "2 sequences" in capsys.readouterr().out
        score = ["score", "--benchmark", "otb100", "--root", str(otb), "--results", str(results)]
        label = ["--label", "model=static", "variant=none", "seed=0"]
        assert cli.main([*score, "--out", str(tmp_path / "m.json"), *label]) == 0
        metrics = json.loads((tmp_path / "m.json").read_text())
        assert (metrics["model"], metrics["variant"], metrics["seed"]) == ("static", "none", 0)
        assert f"auc: {metrics['numbers']['auc']:.4f}" in capsys.readouterr().out.splitlines()
        assert cli.main(score) == 0  # without --out it prints and writes nothing
        assert content(tmp_path) == ["m.json", "static", *(f"static/{name}" for name in content(tmp_path / "static"))]

    def test_a_trained_tracker_runs(self, otb: Path, tmp_path: Path) -> None:
        path = checkpoint(tmp_path / "net.safetensors")
        track = static(otb, tmp_path / "r")
        track[track.index("--baseline") : track.index("--baseline") + 2] = ["--checkpoint", str(path)]
        params = json.dumps({"compute": {"device": "cpu"}, "inference": {"kind": "siamfc", "scales": 1}})
        assert cli.main([*track, "--params", params]) == 0
        index = json.loads((tmp_path / "r.json").read_text())
        assert index["tracker"]["inference"]["scales"] == 1
        assert all(np.loadtxt(file, delimiter=",").shape == (3, 4) for file in (tmp_path / "r").glob("*.txt"))

    def test_a_profile_gives_the_settings(
        self, otb: Path, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from distillery.config.siamfc import SiamFCInference

        path, file = checkpoint(tmp_path / "net.safetensors"), tmp_path / "own.yaml"
        content = yaml.safe_load((repository / "config" / "smoke.yaml").read_text())
        content["tracking"]["siamfc"]["inference"] = {"scales": 1, "window": 0.3}
        file.write_text(yaml.safe_dump(content))
        track = ["track", "--benchmark", "otb100", "--root", str(otb), "--results", str(tmp_path / "r")]
        assert cli.main([*track, "--checkpoint", str(path), "--config", str(file)]) == 0
        assert "settings:" not in capsys.readouterr().out
        own = SiamFCInference(scales=1, window=0.3)
        index = json.loads((tmp_path / "r.json").read_text())
        assert index["tracker"]["inference"] == own.model_dump(mode="json")
        assert cli.main([*track, "--checkpoint", str(path)]) == 0
        out = capsys.readouterr().out.splitlines()
        assert out[0] == "settings: the published ones of siamfc; pass --config for those of a profile"
        assert len(out) == 2
        index = json.loads((tmp_path / "r.json").read_text())
        assert index["tracker"]["inference"] == SiamFCInference().model_dump(mode="json")
        assert cli.main([*track, "--baseline", "static", "--config", str(file)]) == 0
        assert "settings:" not in capsys.readouterr().out

    def test_profile_networks(self, tmp_path: Path) -> None:
        path, out = checkpoint(tmp_path / "net.safetensors"), tmp_path / "cost.json"
        command = ["profile-networks", "--params", '{"device": "cpu"}', "--out", str(out)]
        assert cli.main([*command, "--checkpoints", f"siamfc/dim={path}"]) == 0
        cost = json.loads(out.read_text())["networks"]["siamfc/dim"]
        assert cost["macs"] > 1e5
        assert cost["fps"] == pytest.approx(1e3 / cost["milliseconds"])
        assert cost["bytes"] == 4 * cost["parameters"]

    def test_the_module_runs_and_config_prints(self) -> None:
        command = [sys.executable, "-m", "distillery"]
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == __version__

    def test_config(self, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = str(repository / "config" / "smoke.yaml")
        assert cli.main(["config", "check", file]) == 0
        assert capsys.readouterr().out == f"{file}: no fault\n"
        assert cli.main(["config", "show", file]) == 0
        assert json.loads(capsys.readouterr().out)["profile"] == "smoke"
        assert cli.main(["config", "schema"]) == 0
        assert json.loads(capsys.readouterr().out)["additionalProperties"] is False


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["track", "--baseline", "static", "--params", "{}", "--config", "config/mini.yaml"],
        ["unknown"],
        ["track"],
        ["check", "--benchmark", "vot2013", "--root", "."],
        ["config", "burn"],
    ],
)
def test_usage_errors_exit_with_2(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(command)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_unknown_benchmark_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["check", "--benchmark", "otb50", "--root", "."])
    error = capsys.readouterr().err
    assert "otb50" in error
    assert all(name in error for name in cli.BENCHMARKS)


class TestFaults:
    def test_unknown_key(self, fails: Fails, tmp_path: Path) -> None:
        params = json.dumps({**PARAMETERS, "optimisation": {"steps": 1, "batch": 2, "learningrate": 1}})
        message = fails(
            "train-trackers", "--params", params, "--data", tmp_path / "d.json", "--out", "dim=x.safetensors"
        )
        assert "--params, optimisation.learningrate: unknown key; did you mean `learning_rate`" in message

    def test_wrong_type(self, fails: Fails, tmp_path: Path) -> None:
        params = json.dumps({"compute": {"threads": "two"}})
        message = fails(*static(tmp_path, tmp_path / "r"), "--params", params)
        assert "compute.threads" in message
        assert '"two"' in message

    def test_params_that_are_no_json(self, fails: Fails, tmp_path: Path) -> None:
        assert "--params: is not valid JSON" in fails(*static(tmp_path, tmp_path / "r"), "--params", "{oops")

    def test_missing_root(self, fails: Fails, tmp_path: Path) -> None:
        for command in (
            static(tmp_path / "no", tmp_path / "r"),
            ["check", "--benchmark", "got10k", "--root", tmp_path / "no"],
        ):
            assert f"{tmp_path / 'no'}: does not exist; pass the folder that holds" in fails(*command)
        assert content(tmp_path) == []

    def test_a_result_of_wrong_length(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        assert cli.main(static(otb, tmp_path / "r")) == 0
        file = sorted((tmp_path / "r").glob("*.txt"))[1]
        file.write_text(file.read_text().splitlines()[0] + "\n")
        out = tmp_path / "m.json"
        message = fails("score", "--benchmark", "otb100", "--root", otb, "--results", tmp_path / "r", "--out", out)
        assert f"{file}: has 1 rows, the sequence {file.stem} has 3 frames" in message
        assert not out.exists()

    def test_missing_results(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        command = ["score", "--benchmark", "otb100", "--root", otb, "--results"]
        assert "none: does not exist" in fails(*command, tmp_path / "none")
        (tmp_path / "empty").mkdir()
        assert "are missing; run the tracker on them" in fails(*command, tmp_path / "empty")

    def test_checkpoints(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        narrow, wide = checkpoint(tmp_path / "narrow.safetensors"), checkpoint(tmp_path / "wide.safetensors", 0.05)
        track = ["track", "--benchmark", "otb100", "--root", otb, "--results", tmp_path / "r", "--checkpoint"]
        narrow.write_bytes(wide.read_bytes())
        assert "narrow.safetensors: is a checkpoint of another architecture: tensor 'backbone." in fails(*track, narrow)
        assert "none.safetensors: does not exist; train it first" in fails(*track, tmp_path / "none.safetensors")
        wide.write_bytes(wide.read_bytes()[:1000])
        assert "wide.safetensors: is truncated or not a safetensors file" in fails(*track, wide)
        sidecar = wide.with_suffix(".json")
        sidecar.write_text(sidecar.read_text().replace('"siamfc"', '"oim"'))
        assert "wide.json, kind: describes a checkpoint of kind 'oim', not 'siamfc'" in fails(*track, wide)
        assert not (tmp_path / "r").exists()

    def test_a_faulty_dataset(
        self, fails: Fails, otb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert (
            cli.main(["dataset", "--benchmark", "otb100", "--params", json.dumps(OTB), "--out", f"{tmp_path}/o.json"])
            == 0
        )
        capsys.readouterr()
        image = sorted((tmp_path / "o").rglob("*.jpg"))[4]
        image.write_bytes(image.read_bytes()[:100])
        assert cli.main(["check", "--benchmark", "otb100", "--root", f"{tmp_path}/o"]) == 1
        captured = capsys.readouterr()
        name = image.relative_to(tmp_path / "o")
        assert any(line.startswith(f"fault: {name}: ") for line in captured.out.splitlines())
        assert captured.err == ""
        message = fails(*static(tmp_path / "o", tmp_path / "r"))
        assert f"{image}: " in message
        assert not (tmp_path / "r").exists()

    def test_networks_that_do_not_belong_together(self, fails: Fails, tmp_path: Path) -> None:
        train = ["train-trackers", "--params", json.dumps(PARAMETERS), "--data", tmp_path / "d.json", "--out"]
        assert "--out: names ['other'], the job trains ['dim']" in fails(*train, "other=x.safetensors")
        assert "'dim' is not NAME=VALUE" in fails(*train, "dim")
        assert "--teacher: a teacher and distillation parameters go together" in fails(
            *train, "dim=x.safetensors", "--teacher", tmp_path / "t.safetensors"
        )
        assert "d.json: does not exist" in fails(*train, "dim=x.safetensors")

    def test_config(self, fails: Fails, tmp_path: Path, repository: Path) -> None:
        assert "none.yaml: does not exist" in fails("config", "check", tmp_path / "none.yaml")
        broken = tmp_path / "broken.yaml"
        broken.write_text("a: 1\n b: 2\n")
        assert "broken.yaml, line 2: is not valid YAML" in fails("config", "check", broken)
        text = (repository / "config" / "smoke.yaml").read_text()
        broken.write_text(text.replace("weight_decay", "weight_decai", 1))
        message = fails("config", "check", broken)
        assert "optimisation.weight_decai: unknown key; did you mean `weight_decay`" in message

    def test_a_profile_without_the_family(self, fails: Fails, otb: Path, tmp_path: Path, repository: Path) -> None:
        path = checkpoint(tmp_path / "net.safetensors")
        sidecar = json.loads(path.with_suffix(".json").read_text())
        path.with_suffix(".json").write_text(json.dumps(sidecar | {"kind": "siamrpnpp"}))
        file = tmp_path / "own.yaml"
        loaded = yaml.safe_load((repository / "config" / "smoke.yaml").read_text())
        loaded["tracking"].pop("siamrpnpp", None)
        file.write_text(yaml.safe_dump(loaded))
        track = ["track", "--benchmark", "otb100", "--root", otb, "--results", tmp_path / "r", "--checkpoint", path]
        assert f"own.yaml: describes no siamrpnpp trackers, {path} is one" in fails(*track, "--config", file)
        assert "none.yaml: does not exist" in fails(*track, "--config", tmp_path / "none.yaml")

    def test_labels_beyond_the_three(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        out = ["--out", tmp_path / "m.json", "--label", "numbers=3"]
        words = "--label: 'numbers' is no label; give model, variant, seed alone"
        assert words in fails("score", "--benchmark", "otb100", "--root", otb, "--results", tmp_path / "r", *out)
        answer = ["--answer", tmp_path / "a", "--submission", tmp_path / "s.zip"]
        assert words in fails("answer", "--benchmark", "got10k_test", *answer, *out)

    def test_an_index_is_not_overwritten(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        index, results = tmp_path / "seed0.json", tmp_path / "m" / "v" / "seed0"
        for folder in (tmp_path / "seed0", results):
            assert cli.main(static(otb, folder)) == 0
        score = ["--benchmark", "otb100", "--root", otb]
        answer = ["--benchmark", "got10k_test", "--answer", tmp_path / "a", "--submission", tmp_path / "s.zip"]
        before = index.read_bytes(), results.with_suffix(".json").read_bytes()
        for command in (
            ["score", *score, "--results", tmp_path / "seed0", "--out", index],
            ["score-all", *score, "--pairs", f"{results}={results}.json"],
            ["answer", *answer, "--out", index],
        ):
            assert "seed0.json: is the index of a results folder and would be overwritten" in fails(*command)
        assert (index.read_bytes(), results.with_suffix(".json").read_bytes()) == before

    def test_pairs_are_looked_at_before_anything_is_scored(self, fails: Fails, tmp_path: Path) -> None:
        command = ["score-all", "--benchmark", "otb100", "--root", tmp_path / "none", "--pairs"]
        assert "'out.json' does not say whose metrics these are" in fails(*command, "lt=out.json")
        assert "'lt' is given twice" in fails(*command, "lt=m/v/seed0.json", "lt=m/v/seed1.json")

    def test_a_benchmark_named_twice(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        on = ["--on", "otb100", otb, tmp_path / "a"]
        command = ["track", "--baseline", "static", *on]
        assert "otb100 is named twice" in fails(*command, "--on", "otb100", otb, tmp_path / "b")
        assert "would meet there" in fails(*command, "--on", "dtb70", otb, tmp_path / "a")
        assert content(tmp_path) == []

    def test_the_dataset_is_not_replaced_by_results(self, fails: Fails, otb: Path) -> None:
        before = content(otb)
        for results in (otb, otb.parent, otb / "r"):
            assert "which results must not replace" in fails(*static(otb, results))
        assert content(otb) == before

    def test_something_is_in_the_way_of_the_output(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("precious")
        assert "lies below a file" in fails(*static(otb, tmp_path / "file" / "r"))
        assert "is a file, a folder is to be written there" in fails(*static(otb, tmp_path / "file"))
        assert (tmp_path / "file").read_text() == "precious"


class TestDebug:
    @pytest.mark.parametrize("position", [0, 1])
    def test_shows_the_traceback(self, tmp_path: Path, position: int) -> None:
        command = ["check", "--benchmark", "otb100", "--root", str(tmp_path / "none")]
        command.insert(position, "--debug")
        with pytest.raises(UserError):
            cli.main(command)

    def test_without_it_there_is_none(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "distillery", "check", "--benchmark", "otb100", "--root", str(tmp_path / "no")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        done = subprocess.run([*command, "--debug"], capture_output=True, text=True)
        assert "Traceback" in done.stderr

    def test_a_fault_of_ours_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def fault(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("distillery.datasets.run_check", fault)
        with pytest.raises(ZeroDivisionError):
            cli.main(["check", "--benchmark", "otb100", "--root", str(tmp_path)])


class TestPipes:
    """What a reader like `head` does to a command: it stops reading, which is nobody's fault."""

    @pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"], autouse=True)
    def buffering(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONUNBUFFERED", request.param)

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            return subprocess.run(
                [sys.executable, "-m", "distillery", *map(str, command)],
                stdout=writer,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        finally:
            os.close(writer)

    def test_a_closed_pipe_costs_no_file(self, otb: Path, tmp_path: Path) -> None:
        assert cli.main(static(otb, tmp_path / "r")) == 0
        score = ["score", "--benchmark", "otb100", "--root", otb, "--results", tmp_path / "r"]
        done = self.run(*score, "--out", tmp_path / "m.json")
        assert (done.returncode, done.stderr) == (1, "")
        assert json.loads((tmp_path / "m.json").read_text())["benchmark"] == "otb100"

    def test_nor_does_it_show_in_long_output(self) -> None:
        done = self.run("config", "schema")
        assert (done.returncode, done.stderr) == (1, "")

    def test_another_pipe_is_told(self, monkeypatch: pytest.MonkeyPatch, fails: Fails, tmp_path: Path) -> None:
        def broken(*_: object, **__: object) -> None:
            raise BrokenPipeError(32, "Broken pipe")

        monkeypatch.setattr("distillery.datasets.run_check", broken)
        assert "Broken pipe; see the traceback with --debug" in fails(
            "check", "--benchmark", "otb100", "--root", tmp_path
        )


class TestDisk:
    def test_a_full_disk_outside_atomic_writes(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: Fails
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device", "/some/log")

        monkeypatch.setattr("distillery.datasets.run_check", full)
        message = fails("check", "--benchmark", "otb100", "--root", tmp_path)
        assert message == "distillery: /some/log: no space left on the disk; free some and run the command again."

    def test_nothing_half_written_at_a_limit_of_file_size(self, otb: Path, tmp_path: Path) -> None:
        """The kernel refuses to let any file grow beyond the limit, in the middle of writing a result."""
        code = (
            "import resource, sys; from distillery.cli import main; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40)); sys.exit(main())"
        )
        command = [sys.executable, "-c", code, *static(otb, tmp_path / "r")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1, done.stderr
        assert done.stderr == (
            f"distillery: {tmp_path / 'r'}: no space left on the disk, nothing was written; "
            "free some space and run the same command again.\n"
        )
        assert content(tmp_path) == []

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_forbidden_folder(self, fails: Fails, otb: Path, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        assert "cannot be written, permission denied" in fails(*static(otb, tmp_path / "r"))


def test_an_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distillery.datasets.run_check", interrupt)
    assert cli.main(["check", "--benchmark", "otb100", "--root", str(tmp_path)]) == 130
    assert "the same command goes on from the last saved state" in capsys.readouterr().err
