"""A finished project in small: a real dataset, real predictions and metrics of it, and the records of the jobs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distillery.audit import manifest as manifests
from distillery.audit.findings import Finding
from distillery.audit.project import Project
from distillery.audit.recompute import recompute
from distillery.audit.verify import verify
from distillery.cli import main

CODE = "src/distillery/code.py"
TABLE = "results/tiny/tables/tracking.csv"
ENDS = (TABLE, "results/tiny/report.html")


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Tiny:
    """The project of a profile `tiny`: two seeds of a tracker on two sequences, and a table of both."""

    root: Path

    def path(self, name: str) -> Path:
        return self.root / name

    def write(self, name: str, content: Any) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1, sort_keys=True) + "\n")

    def read(self, name: str) -> Any:
        return json.loads(self.path(name).read_text())

    def record(self, rule: str, command: str, inputs: list[str], outputs: list[str], params: Any = None) -> None:
        """Leaves what Snakemake leaves of a job."""
        for place, output in enumerate(outputs):
            content = {
                "rule": rule,
                "input": [*inputs, CODE],
                "input_checksums": {path: f"sha256:{sha(self.path(path))}" for path in [*inputs, CODE]},
                "params": [] if params is None else [repr(json.dumps(params))],
                "shellcmd": command,
                "log": [f"logs/tiny/{rule}.log"],
                "starttime": 100.0 + place / 1000,
                "endtime": 107.5,
                "incomplete": False,
            }
            name = base64.urlsafe_b64encode(output.encode()).decode()
            self.write(f".snakemake/metadata/{name}", content)

    def build(self, resolved: Any = ("config",)) -> dict[str, Any]:
        content = manifests.build(
            self.root, "tiny", "headline", ends=ENDS, config=Path("config/tiny.yaml"), resolved=resolved
        )
        self.write("results/tiny/manifest.json", content)
        return content

    def findings(self, resolved: Any = ("config",), *, again: bool = True) -> list[Finding]:
        """What an audit finds now."""
        loaded = manifests.load(self.root, Path("results/tiny/manifest.json"))
        project = Project(self.root, loaded, [loaded], resolved)
        # Its table is written by hand: that tables are made anew is seen where there are real ones.
        return verify(project) + (recompute(project, kinds=("metrics",)) if again else [])

    def edit_manifest(self, *paths: str) -> None:
        """Makes the manifest say of files what they are now, as who hides a change would."""
        content = self.read("results/tiny/manifest.json")
        for name in paths:
            digest = sha(self.path(name))
            content["artefacts"][name]["sha256"] = digest
            content["artefacts"][name]["bytes"] = self.path(name).stat().st_size
            for job in content["jobs"].values():
                if name in job["inputs"]:
                    job["inputs"][name] = digest
        self.write("results/tiny/manifest.json", content)


def tracker(seed: int) -> str:
    return f"checkpoints/tiny/tracking/siamfc/dim-tskd/seed{seed}"


def predictions(seed: int) -> str:
    return f"results/tiny/predictions/otb100/siamfc/dim-tskd/seed{seed}"


def metrics(seed: int) -> str:
    return f"results/tiny/metrics/otb100/siamfc/dim-tskd/seed{seed}.json"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Made once; `tiny` copies it."""
    tiny = Tiny(tmp_path_factory.mktemp("audit") / "project")
    tiny.write(CODE, "print('code')\n")
    tiny.write("config/tiny.yaml", "profile: tiny\n")
    _commit(tiny.root)
    spec = {"source": "embedded", "seed": 5, "sequences": 2, "frames": 4, "width": 96, "height": 72}
    before = os.getcwd()
    os.chdir(tiny.root)
    try:
        _dataset(tiny, spec)
        for seed in (0, 1):
            _train(tiny, seed)
            _track(tiny, seed)
        _score(tiny)
    finally:
        os.chdir(before)
    _write_up(tiny)
    tiny.build()
    return tiny


@pytest.fixture
def tiny(finished: Tiny, tmp_path: Path) -> Tiny:
    """A copy to be tampered with."""
    shutil.copytree(finished.root, tmp_path / "project", symlinks=True)
    return Tiny(tmp_path / "project")


def _commit(root: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "code"]):
        subprocess.run(["git", *words], cwd=root, check=True)


def _dataset(tiny: Tiny, spec: dict[str, Any]) -> None:
    out = "data/tiny/otb100.json"
    command = ["dataset", "--benchmark", "otb100", "--params", json.dumps(spec), "--out", out]
    assert main(command) == 0
    tiny.record("dataset", "python -m distillery dataset …", [], [out], spec)


def _train(tiny: Tiny, seed: int) -> None:
    weights, sidecar = f"{tracker(seed)}.safetensors", f"{tracker(seed)}.json"
    tiny.write(weights, f"weights of seed {seed}")
    inputs = {"data": sha(tiny.path("data/tiny/otb100.json"))}
    tiny.write(
        sidecar, {"kind": "siamfc", "sha256": sha(tiny.path(weights)), "inputs": inputs, "parameters": {"seed": seed}}
    )
    command = f"python -m distillery train-trackers --out dim={weights}"
    tiny.record("train_siamfc_tskd", command, ["data/tiny/otb100.json"], [weights, sidecar], {"seed": seed, "lr": 0.1})


def _track(tiny: Tiny, seed: int) -> None:
    out, weights = predictions(seed), f"{tracker(seed)}.safetensors"
    assert (
        main(["track", "--baseline", "static", "--benchmark", "otb100", "--root", "data/tiny/otb100", "--results", out])
        == 0
    )
    index = tiny.read(f"{out}.json")
    index["tracker"] = {"tracker": f"seed{seed}", "checkpoint": sha(tiny.path(weights))}
    tiny.write(f"{out}.json", index)
    tiny.record(
        "track_benchmarks", f"python -m distillery track {out}", ["data/tiny/otb100.json", weights], [f"{out}.json"]
    )


def _score(tiny: Tiny) -> None:
    words = ["score-all", "--benchmark", "otb100", "--root", "data/tiny/otb100", "--pairs"]
    words += [f"{predictions(seed)}={metrics(seed)}" for seed in (0, 1)]
    assert main(words) == 0
    inputs = ["data/tiny/otb100.json", *(f"{predictions(seed)}.json" for seed in (0, 1))]
    command = f"python -m distillery {' '.join(words)} 2>&1 | tee logs/score.log"
    tiny.record("score_tracking_headline", command, inputs, [metrics(0), metrics(1)])


def _write_up(tiny: Tiny) -> None:
    values = [tiny.read(metrics(seed))["numbers"]["auc"] for seed in (0, 1)]
    row = f'siamfc,dim-tskd,"SiamFC dim, TSKD",{sum(values) / 2}\n'
    tiny.write(TABLE, "model,variant,label,otb100.auc\n" + row)
    tiny.record("tables_headline", "python -m distillery figures", [metrics(0), metrics(1)], [TABLE])
    tiny.write("results/tiny/report.html", "<p>All is well.</p>")
    read = [TABLE, *(f"{tracker(seed)}.json" for seed in (0, 1))]
    tiny.record("report_headline", "python -m distillery report", read, ["results/tiny/report.html"])
