"""A small run made by hand: two tiny worlds in the official layouts, predictions, metrics, curves, compute profile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from distillery.config import profile as profiles
from distillery.config.base import parse
from distillery.config.data import EmbeddedCUHKSYSU, EmbeddedOTB100
from distillery.config.paper import PaperJob, from_profile
from distillery.data import manifest
from distillery.data.worlds.cuhk_sysu import write_cuhk_sysu
from distillery.data.worlds.otb100 import write_otb100
from distillery.files import write_json
from distillery.person_search.benchmarks import cuhk_sysu
from distillery.person_search.predictions import Predictions, write_predictions
from distillery.tracking.benchmarks import otb100
from distillery.tracking.results import write_results

SEEDS = (0, 1, 2)
OTB = EmbeddedOTB100(source="embedded", seed=3, width=160, height=120, sequences=5, frames=9)
STREETS = EmbeddedCUHKSYSU(
    source="embedded",
    seed=3,
    width=240,
    height=180,
    train_images=16,
    train_identities=8,
    test_images=24,
    test_identities=8,
    gallery_sizes=(6, 12),
)
TRACKING = {  # variant: (AUC by seed, spread of the curve, size in parameters, milliseconds)
    "siamfc/teacher": ((0.660, 0.672, 0.668), 146_000, 12.4),
    "siamfc/dim-ground_truth": ((0.600, 0.615, 0.606), 11_500, 4.1),
    "siamfc/dim-tsskd": ((0.631, 0.640, 0.629), 11_500, 4.1),
    "siamfc/intelligent-tsskd": ((0.652, 0.661, 0.640), 36_600, 6.0),
    "baseline/static": ((0.351,), 0, 0.0),
    "baseline/ncc": ((0.516,), 0, 0.0),
}
SEARCH = {
    "reid/teacher": ((0.700, 0.712, 0.690), 64_000, 5.0),
    "oim/large-oim": ((0.318, 0.217, 0.243), 181_000, 21.0),
    "oim/large-oim_table": ((0.386, 0.317, 0.320), 181_000, 21.0),
    "oim/small-oim": ((0.175, 0.187, 0.121), 24_000, 11.0),
    "oim/small-oim_table": ((0.204, 0.194, 0.181), 24_000, 11.0),
    "baseline/histogram": ((0.22,), 0, 0.0),
}
TERMS = {
    "siamfc/dim-tsskd": ("dim/teacher_soft", "dim/target_response", "dim/sharing", "intelligent/sharing"),
    "siamfc/intelligent-tsskd": ("dim/sharing", "intelligent/teacher_soft", "intelligent/sharing"),
    "siamfc/teacher": ("teacher/logistic",),
    "siamfc/dim-ground_truth": ("dim/logistic",),
}


@dataclass(frozen=True)
class Run:
    """Paths of everything that the paper stage reads."""

    root: Path
    params: dict[str, Any]
    metrics: list[Path]
    sidecars: list[Path]
    curves: list[Path]
    compute: Path
    data: list[Path]
    predictions: list[Path]
    tracking: dict[str, Any]
    search: dict[str, Any]

    @property
    def job(self) -> PaperJob:
        return parse(PaperJob, self.params, source="test")


@pytest.fixture(scope="session")
def profile(repository: Path) -> profiles.Profile:
    path = repository / "config" / "mini.yaml"
    return profiles.Profile.model_validate_json(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, profile: profiles.Profile) -> Run:
    root = tmp_path_factory.mktemp("run")
    data = _datasets(root / "data")
    sequences = otb100.load(root / "data" / "otb100")
    queries = len(cuhk_sysu.load_protocol(root / "data" / "cuhk_sysu", 12).queries)
    metrics, sidecars, curves, compute = [], [], [], {}
    for paper, benchmark, table in (("tracking", "otb100", TRACKING), ("person_search", "cuhk_sysu", SEARCH)):
        for order, (key, (values, parameters, milliseconds)) in enumerate(table.items()):
            for seed, value in enumerate(values):
                random = np.random.default_rng([order, seed])
                detail = (
                    _tracked(value, sequences, random) if paper == "tracking" else _searched(value, queries, random)
                )
                path = root / "metrics" / benchmark / key / f"seed{seed}.json"
                model, variant = key.split("/")
                head = {"benchmark": benchmark, "model": model, "variant": variant, "seed": seed}
                write_json(path, head | detail)
                metrics.append(path)
                if parameters:
                    side = root / "checkpoints" / paper / key / f"seed{seed}.json"
                    write_json(side, {"parameter_count": parameters, "bytes": 4 * parameters, "kind": model})
                    sidecars.append(side)
                    curves.append(side.with_suffix(".jsonl"))
                    _curve(curves[-1], TERMS.get(key, ("rpn_score", "score", "identity")), random)
            if parameters:
                compute[key] = {
                    "parameters": parameters,
                    "bytes": 4 * parameters,
                    "macs": parameters * 300,
                    "milliseconds": milliseconds,
                    "fps": 1000 / milliseconds,
                    "step": "one frame",
                }
    machine = {"device": "cpu", "processor": "Test CPU", "threads": 1, "torch": "2"}
    write_json(root / "compute.json", {"convention": "batch 1, float32", "machine": machine, "networks": compute})
    return Run(
        root=root,
        params=from_profile(profile, with_config=True).model_dump(mode="json"),
        metrics=metrics,
        sidecars=sidecars,
        curves=curves,
        compute=root / "compute.json",
        data=data,
        predictions=_predictions(root),
        tracking=TRACKING,
        search=SEARCH,
    )


def _datasets(folder: Path) -> list[Path]:
    folder.mkdir()
    (folder / "otb100").mkdir()
    write_otb100(folder / "otb100", OTB)
    write_cuhk_sysu(folder / "cuhk_sysu", STREETS, 1)
    for name in ("otb100", "cuhk_sysu"):
        write_json(folder / f"{name}.json", manifest.build(folder / name, benchmark=name, counts={}))
    return [folder / "otb100.json", folder / "cuhk_sysu.json"]


def _tracked(auc: float, sequences: list[Any], random: np.random.Generator) -> dict[str, Any]:
    thresholds = np.linspace(0, 1, 21)
    success = np.clip(1.02 - thresholds ** (auc / (1 - auc)) + 0.01 * random.normal(size=21), 0, 1)
    success = np.sort(success)[::-1]
    precision = np.clip(1 - np.exp(-np.arange(51) * auc / 10), 0, 1)
    names = [sequence.name for sequence in sequences]
    return {
        "protocol": "ope/got10k",
        "numbers": {
            "auc": auc,
            "precision": auc + 0.15,
            "normalized_precision": auc + 0.1,
            "success_rate_50": auc + 0.12,
        },
        "curves": {"success": success.tolist(), "precision": precision.tolist()},
        "per_sequence": {name: {"auc": float(np.clip(auc + 0.1 * random.normal(), 0, 1))} for name in names},
        "by_attribute": {"OCC": {"auc": auc - 0.05, "sequences": 3}, "SV": {"auc": auc - 0.02, "sequences": 4}},
        "counts": {"sequences": len(names), "frames": OTB.frames * len(names)},
    }


def _searched(value: float, queries: int, random: np.random.Generator) -> dict[str, Any]:
    numbers = {"map": value, "top1": value + 0.02, "top5": value + 0.2, "top10": value + 0.25}
    return {
        "protocol": "official",
        "gallery_size": 12,
        "numbers": numbers | {"ap": 0.85, "recall": 0.9},
        "by_gallery_size": {"6": {name: x + 0.04 for name, x in numbers.items()}, "12": numbers},
        "per_query": {"ap": np.clip(value + 0.3 * random.normal(size=queries), 0, 1).tolist()},
        "counts": {"queries": queries, "gallery_images": STREETS.test_images},
    }


def _curve(path: Path, terms: tuple[str, ...], random: np.random.Generator) -> None:
    lines = []
    for step in range(0, 300, 2):
        values = {
            term: float(np.exp(-step / (60 + 30 * i)) * (2 + 0.2 * random.normal())) for i, term in enumerate(terms)
        }
        lines.append(json.dumps({"step": step, "learning_rate": 1e-3, "loss": sum(values.values())} | values))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _predictions(root: Path) -> list[Path]:
    """Boxes and features near the truth, nearer for the better variant."""
    found = []
    sequences = otb100.load(root / "data" / "otb100")
    for order, (key, noise) in enumerate(
        {"siamfc/teacher": 2, "siamfc/dim-tsskd": 3, "siamfc/dim-ground_truth": 7, "baseline/ncc": 12}.items()
    ):
        random = np.random.default_rng(order)
        folder = root / "predictions" / "otb100" / key / "seed0"
        boxes = {
            s.name: s.truth + np.cumsum(random.normal(0, noise / 3, s.truth.shape), axis=0) * [1, 1, 0.3, 0.3]
            for s in sequences
        }
        write_results(folder, boxes)
        write_json(folder.with_suffix(".json"), {"benchmark": "otb100"})
        found.append(folder.with_suffix(".json"))
    pool = cuhk_sysu.load_test_pool(root / "data" / "cuhk_sysu")
    queries = cuhk_sysu.load_protocol(root / "data" / "cuhk_sysu", 12).queries
    for order, (key, noise) in enumerate({"oim/large-oim": 0.35, "oim/large-oim_table": 0.2}.items()):
        random = np.random.default_rng(order)
        centres = np.random.default_rng(9).normal(size=(len(queries), 16))
        names, boxes, features = [], [], []
        for image in pool.images:
            for box, identity in zip(image.boxes, image.ids, strict=True):
                centre = centres[identity] if identity >= 0 else random.normal(size=16)
                names.append(image.name)
                boxes.append(box)
                features.append(centre + 4 * noise * random.normal(size=16))
        path = root / "predictions" / "cuhk_sysu" / key / "seed0.npz"
        write_predictions(
            path,
            Predictions(
                gallery_image=np.array(names),
                gallery_box=np.array(boxes, np.float32),
                gallery_score=np.full(len(names), 0.9, np.float32),
                gallery_feature=np.array(features, np.float32),
                query_feature=(centres + noise * random.normal(size=centres.shape)).astype(np.float32),
            ),
        )
        write_json(path.with_suffix(".json"), {"seconds": 1.0})
        found.append(path.with_suffix(".json"))
    return found


@pytest.fixture(scope="session")
def tables(run: Run) -> Path:
    from distillery.paper.tables import write_tables

    write_tables(run.params, run.metrics, run.sidecars, run.compute, run.root / "tables")
    return run.root / "tables"


@pytest.fixture(scope="session")
def figures(run: Run) -> Path:
    from distillery.paper.figures import write_figures

    write_figures(run.params, run.metrics, run.curves, run.compute, run.data, run.predictions, run.root / "figures")
    return run.root / "figures"


@pytest.fixture(scope="session")
def report(run: Run, tables: Path, figures: Path) -> Path:
    from distillery.paper.report import write_report

    write_report(run.params, tables, figures, run.metrics, run.root / "report.html")
    return run.root / "report.html"
