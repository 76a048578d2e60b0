"""Jobs of config/paper.yaml at full size, cut down to one step on small data: what the test of every job is made of.

Replaced are the data (embedded sets of a few images; weights of torchvision's networks with random values), the number
of steps (one), the batch (two pairs, or one image) and the device. Warm-ups are left out, so that the step is the one
with everything in it: the teacher is heard, the backbone is trained.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery.cli import main
from distillery.config import jobs
from distillery.config.paper import variant_name
from distillery.config.profile import Profile

SETS: dict[str, dict[str, Any]] = {
    "got10k": {
        "source": "embedded", "seed": 91, "width": 320, "height": 240, "train_sequences": 4, "train_frames": 4,
        "val_sequences": 2, "val_frames": 3,
    },
    "otb100": {"source": "embedded", "seed": 92, "width": 320, "height": 240, "sequences": 1, "frames": 4},
    "cuhk_sysu": {
        "source": "embedded", "seed": 93, "train_images": 4, "train_identities": 2, "test_images": 3,
        "test_identities": 1, "gallery_sizes": [2],
    },
    "prw": {
        "source": "embedded", "seed": 94, "train_frames": 12, "train_identities": 2, "test_frames": 12,
        "test_identities": 6, "queries": 6, "mini_queries": 6,
    },
}  # fmt: skip
COMPUTE = {"device": "cpu", "threads": 2, "save_every": 1e9}


@dataclass
class Workshop:
    """A folder in which jobs are done, each when it is first asked for.

    Attributes:
        root: The folder.
        profile: The full-size profile.
        made: Checkpoints by what they are.
    """

    root: Path
    profile: Profile
    made: dict[str, Path] = field(default_factory=dict)

    def data(self, name: str) -> Path:
        """Manifest of a small set."""
        manifest = self.root / "data" / f"{name}.json"
        if not manifest.exists():
            run("dataset", "--benchmark", name, params=SETS[name], out=manifest)
        return manifest

    def weights(self, network: str) -> str:
        """A file with the tensors of a network of torchvision: random, with the statistics that go with them."""
        file = self.root / "weights" / f"{network}.pth"
        if not file.exists():
            import torch
            from torchvision import models

            torch.manual_seed(0)
            classifier = models.get_model(network)
            for module in classifier.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
            with torch.no_grad():
                classifier.train()(torch.randn(2, 3, 128, 128))
            file.parent.mkdir(exist_ok=True)
            torch.save(classifier.state_dict(), file)
        return str(file)

    def tracker(self, family: str, name: str) -> dict[str, Path]:
        """Networks of a run of trackers by name, trained by one step."""
        section, spec = self.profile.tracking.families[family], self.profile.tracking.families[family].runs[name]
        out = {network: f"{family}/{variant_name(network, name)}" for network in spec.networks}
        if set(out.values()) <= self.made.keys():
            return {network: self.made[key] for network, key in out.items()}
        asked = self.one_step(jobs.tracker_training(self.profile, family, name, 0), batch=2)
        options = ["--data", str(self.data("got10k"))]
        if spec.teacher:
            (teacher,) = self.tracker(family, spec.teacher).values()
            options += ["--teacher", str(teacher)]
        searched = [network for network in spec.networks if network in section.searched]
        if searched:
            options += ["--searched", *(f"{n}={self.selected(family, section.searched[n])}" for n in searched)]
        self.train("train-trackers", asked, {network: self.place(key) for network, key in out.items()}, options)
        self.made |= {key: self.place(key) for key in out.values()}
        return {network: self.made[key] for network, key in out.items()}

    def selected(self, family: str, strategy: str) -> Path:
        """Result of a search of one child, of one step."""
        found = self.root / f"{family}-{strategy}.json"
        if not found.exists():
            teaching = next(run.teacher for run in self.profile.tracking.families[family].runs.values() if run.teacher)
            asked = jobs.selection(self.profile, family, strategy, teaching)
            asked["compute"] |= COMPUTE
            # After one step the most confident proposals need not meet the target: all of them count.
            small = {"updates": 1, "children": 1, "pairs": 2, "validation_pairs": 2, "proposals": 10_000}
            asked["selection"] |= small
            asked["selection"]["optimisation"] |= {"steps": 1, "batch": 2}
            (teacher,) = self.tracker(family, teaching).values()
            run("select-students", "--data", self.data("got10k"), "--teacher", teacher, params=asked, out=found)
        return found

    def searcher(self, trained_on: str, name: str, network: str) -> dict[str, Path]:
        """Networks of a run of person search by student, trained by one step."""
        spec = self.profile.person_search.runs[name]
        out = {student: f"{trained_on}/{spec.method}/{network}-{student}" for student in spec.students}
        if set(out.values()) <= self.made.keys():
            return {student: self.made[key] for student, key in out.items()}
        asked = self.one_step(jobs.search_training(self.profile, name, network, 0), batch=1)
        options = ["--data", str(self.data(trained_on))]
        named = {student: f"{network}-{student}" for student in spec.students}
        tables = {
            named[student]: self.table(trained_on, one.table) for student, one in spec.students.items() if one.table
        }
        starts = {
            named[student]: self.variant(trained_on, f"oim/{network}-{one.start}")
            for student, one in spec.students.items()
            if one.start
        }
        for flag, files in (("--table", tables), ("--start", starts)):
            options += [flag, *(f"{student}={file}" for student, file in files.items())] if files else []
        if any(student.detector for student in spec.students.values()):
            teacher = self.variant(trained_on, f"detector/{self.profile.person_search.detection_teacher}")
            options += ["--detector", str(teacher)]
        self.train("train-search", asked, {named[s]: self.place(key) for s, key in out.items()}, options)
        self.made |= {key: self.place(key) for key in out.values()}
        return {student: self.made[key] for student, key in out.items()}

    def variant(self, trained_on: str, key: str) -> Path:
        """The checkpoint of METHOD/VARIANT, made by its run."""
        name = self.profile.person_search.variants()[key]
        network, _, student = key.split("/")[1].partition("-")
        return self.searcher(trained_on, name, network)[student]

    def reid(self, trained_on: str) -> Path:
        """The network on crops, trained by one step."""
        key = f"{trained_on}/reid/teacher"
        if key not in self.made:
            asked = jobs.reid_training(self.profile, 0)
            asked["compute"] |= COMPUTE
            asked["teacher"]["optimisation"] |= {"steps": 1, "batch": 4, "warmup_steps": 0}
            asked["teacher"]["shape"]["pretrained"] = self.weights("resnet50")
            run("train-reid", "--data", self.data(trained_on), params=asked, out=self.place(key))
            self.made[key] = self.place(key)
        return self.made[key]

    def table(self, trained_on: str, name: str) -> Path:
        """A look-up table."""
        key = f"{trained_on}/lookup/{name}"
        if key not in self.made:
            row = self.profile.person_search.tables[name]
            asked = jobs.lookup(self.profile, name, 0)
            asked["compute"] |= COMPUTE
            options: list[Any] = ["--data", self.data(trained_on)]
            if row.construction != "random":
                teacher = self.reid(trained_on) if row.teacher == "reid" else self.variant(trained_on, str(row.teacher))
                options += ["--teacher", teacher]
            run("lookup", *options, params=asked, out=self.place(key))
            self.made[key] = self.place(key)
        return self.made[key]

    def forget(self, *files: Path) -> None:
        """Removes checkpoints that no other job reads: all of them would take ten gigabytes."""
        search = self.profile.person_search
        kept = {f"detector/{search.detection_teacher}", *(str(table.teacher) for table in search.tables.values())}
        for spec in search.runs.values():
            kept |= {f"oim/{n}-{one.start}" for n in spec.networks for one in spec.students.values() if one.start}
        for key, file in list(self.made.items()):
            _, _, rest = key.partition("/")
            teaches = rest == "teacher" or rest in kept
            if file in files and not teaches:
                file.unlink()
                del self.made[key]

    def place(self, key: str) -> Path:
        """Where the file of a network or a table lies."""
        return self.root / "checkpoints" / f"{key}.safetensors"

    def one_step(self, asked: dict[str, Any], batch: int) -> dict[str, Any]:
        """Resolved parameters of a training with what must be replaced replaced."""
        asked["compute"] |= COMPUTE
        asked["optimisation"] |= {"steps": 1, "batch": batch, "warmup_steps": 0}
        if asked.get("distillation"):
            asked["distillation"]["warmup_epochs"] = 0
        if "pairs" in asked:
            asked["pairs"].pop("sources", None)
            asked["pairs"].pop("shards", None)
        for architecture in asked.get("architectures", {}).values():
            if pretraining := architecture.get("pretraining"):
                pretraining |= {"weights": self.weights(architecture["backbone"]), "frozen_epochs": 0}
        for student in asked.get("students", {}).values():
            if student["shape"]["pretrained"]:
                student["shape"]["pretrained"] = self.weights(Path(student["shape"]["pretrained"]).stem)
        return asked

    def train(self, command: str, asked: dict[str, Any], out: Mapping[str, Path], options: list[str]) -> None:
        """One training job."""
        files = [f"{name}={file}" for name, file in out.items()]
        run(command, *options, "--out", *files, params=asked)


def run(command: str, *options: Any, params: dict[str, Any], out: Path | None = None) -> None:
    """A command of the command line, in this process."""
    words = [command, *map(str, options), "--params", json.dumps(params)]
    words += ["--out", str(out)] if out else []
    assert main(words) == 0, command


def losses(checkpoint: Path) -> dict[str, float]:
    """What the one step of a training wrote down; all of it is finite."""
    (line,) = checkpoint.with_suffix(".jsonl").read_text().splitlines()
    found: dict[str, float] = json.loads(line)
    assert all(math.isfinite(value) for value in found.values()), found
    return found


def parameters(checkpoint: Path) -> int:
    """Number of parameters that the sidecar states."""
    return int(json.loads(checkpoint.with_suffix(".json").read_text())["parameter_count"])
