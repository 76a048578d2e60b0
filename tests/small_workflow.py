"""A workflow of a few tiny jobs that is stored, restored and bundled by the project's own commands.

It has what matters to them: the project's DVC set-up and default profile, datasets with a manifest, checkpoints,
results with an index beside their folder, recordings that nobody stores, and the publishing rule at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from project import REPOSITORY, Project, environment

NAMES = tuple("abcdefgh")
SETUP = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml", "profiles/default/profile.yaml")
CONFIG = "config/small.yaml"

SNAKEFILE = """
import os
os.environ["PYTHONPATH"] = "{source}"
os.environ["PATH"] = "{binaries}" + os.pathsep + os.environ["PATH"]
NAMES, P = sorted(config["data"]), "small"

rule all:
    default_target: True
    input: "results/small/report.html", "results/small/store.json"

rule dataset:
    input: code="src/draw.py"
    output: "data/small/{{name}}.json"
    params: text=lambda wildcards: config["data"][wildcards.name]
    shell: "python src/draw.py {{params.text}} {{output}}"

rule crops:
    input: "data/small/a.json"
    output: "recordings/small/net/crops.safetensors"
    shell: "cp {{input}} {{output}}"

rule train:
    input: "data/small/{{name}}.json", crops="recordings/small/net/crops.safetensors", code="src/train.py"
    output: multiext("checkpoints/small/tracking/net/{{name}}/seed0", ".safetensors", ".json", ".jsonl")
    params: rate=lambda wildcards: config["rate"].get(wildcards.name, 1)
    shell: "python src/train.py {{params.rate}} {{input[0]}} {{output[0]}}"

rule track:
    input: "data/small/{{name}}.json", "checkpoints/small/tracking/net/{{name}}/seed0.safetensors", code="src/track.py"
    output: "results/small/predictions/{{name}}/net/v/seed0.json"
    shell: "python src/track.py {{input[0]}} {{input[1]}} {{output}}"

rule score:
    input: "results/small/predictions/{{name}}/net/v/seed0.json", code="src/score.py"
    output: "results/small/metrics/{{name}}/net/v/seed0.json"
    shell: "python src/score.py {{input[0]}} {{wildcards.name}} {{output}}"

rule report:
    input: expand("results/small/metrics/{{name}}/net/v/seed0.json", name=NAMES)
    output: "results/small/report.html", table="results/small/tables/table.csv"
    shell: "cat {{input}} | tee {{output.table}} > {{output[0]}}"

rule publish_headline:
    input:
        data=expand("data/small/{{name}}.json", name=NAMES),
        checkpoints=expand("checkpoints/small/tracking/net/{{name}}/seed0.safetensors", name=NAMES),
        report="results/small/report.html",
    output: "results/small/store.json"
    threads: workflow.cores or 1
    shell: "python -m distillery publish --profile small --out {{output}}"
"""

SCRIPTS = {
    "draw.py": """
import hashlib, json, pathlib, sys
text, manifest = sys.argv[1], pathlib.Path(sys.argv[2])
folder = manifest.with_suffix("")
folder.mkdir(parents=True, exist_ok=True)
files = {}
for number in range(3):
    content = f"{text} {number} ".encode() * 50
    (folder / f"{number}.jpg").write_bytes(content)
    files[f"{number}.jpg"] = hashlib.sha256(content).hexdigest()
manifest.write_text(json.dumps(files))
""",
    "train.py": """
import json, pathlib, sys
rate, data, weights = float(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
weights.write_bytes(data.read_bytes() * 20 + str(rate).encode())
weights.with_suffix(".json").write_text(json.dumps({"rate": rate}))
rows = [{"step": step, "loss": rate / (step + 1)} for step in range(3)]
weights.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\\n" for row in rows))
""",
    "track.py": """
import hashlib, json, pathlib, sys
data, weights, index = map(pathlib.Path, sys.argv[1:])
folder = index.with_suffix("")
folder.mkdir(parents=True, exist_ok=True)
text = hashlib.sha256(weights.read_bytes()).hexdigest()
for image in sorted(data.with_suffix("").iterdir()):
    (folder / f"{image.stem}.txt").write_text(text + image.name)
index.write_text(json.dumps({"weights": text}))
""",
    "score.py": """
import json, pathlib, sys
index, benchmark, metrics = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
text = "".join(file.read_text() for file in sorted(index.with_suffix("").iterdir()))
auc = text.count("a") / len(text)
content = {"benchmark": benchmark, "model": "net", "variant": "v", "seed": 0, "numbers": {"auc": auc, "none": None}}
metrics.write_text(json.dumps(content))
""",
}


def write(root: Path) -> Project:
    """The workflow in a new git repository, all of it committed."""
    for name in SETUP:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    binaries = Path(sys.executable).parent
    (root / "Snakefile").write_text(SNAKEFILE.format(source=REPOSITORY / "src", binaries=binaries))
    (root / "src").mkdir()
    for name, text in SCRIPTS.items():
        (root / "src" / name).write_text(text.lstrip())
    lines = [f"  {name}: picture-{name}\n" for name in NAMES]
    (root / "config").mkdir()
    (root / CONFIG).write_text("data:\n" + "".join(lines) + "rate: { a: 1, b: 2 }\n")
    git(root, "init", "-q")
    commit(root, "workflow")
    return Project(root)


def git(root: Path, *arguments: str) -> str:
    """Standard output of git, as somebody who has a name."""
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def commit(root: Path, message: str) -> None:
    """Commits whatever git does not ignore."""
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", message)


def clone(project: Project, root: Path) -> Project:
    """A fresh clone, as a stranger has it."""
    git(project.root, "clone", "-q", str(project.root), str(root))
    return Project(root)


def dvc(root: Path, *arguments: str) -> str:
    """Standard output of DVC."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def made(root: Path) -> dict[str, bytes]:
    """Path -> content of all that DVC holds of the profile."""
    folders = [root / name / "small" for name in ("data", "checkpoints", "results")]
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(root)): file.read_bytes() for file in files if file.name != "store.json"}
