"""A small run made by hand: tiny worlds in the official layouts, predictions, metrics, curves, searches, maps."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distillery import datasets
from distillery.config import claims_job
from distillery.config import profile as profiles
from distillery.config.base import parse
from distillery.config.families import Target
from distillery.config.paper import from_profile
from distillery.config.paper_job import PaperJob, Variant
from distillery.files import write_json
from distillery.person_search.benchmarks import registry
from distillery.person_search.predictions import Predictions, write_predictions
from distillery.tracking.benchmarks import otb100
from distillery.tracking.results import write_results
from paper_profile import (
    ABLATIONS,
    AP,
    HARDER,
    SEARCH,
    SEARCH_ABLATIONS,
    SEARCH_HARDER,
    SEARCH_TERMS,
    TRACKING,
    document,
)

SEEDS = (0, 1, 2)
TERMS = {  # how a variant was trained -> loss terms of its own network
    "tsskd": ("teacher_soft", "target_response", "sharing", "gate"),
    "gate_own": ("teacher_soft", "target_response", "sharing", "gate"),
    "tskd": ("teacher_soft", "target_response"),
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
    searches: list[Path]
    maps: Path
    features: Path

    @property
    def job(self) -> PaperJob:
        return parse(PaperJob, self.params, source="test")


@pytest.fixture(scope="session")
def profile() -> profiles.Profile:
    return profiles.Profile.model_validate_json(json.dumps(document()))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, profile: profiles.Profile) -> Run:
    """Everything of both targets; `params` are the headline's."""
    root = tmp_path_factory.mktemp("run")
    worlds = ("otb100", "vot2019", "lasot", "trackingnet", "cuhk_sysu", "prw")
    data = [root / "data" / f"{name}.json" for name in worlds]
    for manifest in data:
        manifest.parent.mkdir(exist_ok=True)
        datasets.make(manifest.stem, getattr(profile.data, manifest.stem).model_dump_json(), manifest)
    files = _Files(root, [], [], [], {})
    names = [sequence.name for sequence in otb100.load(root / "data" / "otb100")]
    for order, (key, (values, parameters, milliseconds)) in enumerate((TRACKING | ABLATIONS).items()):
        for seed, value in enumerate(values):
            random = np.random.default_rng([order, seed])
            for name, lower in HARDER.items():
                files.metric(name, key, seed, _tracked(name, value - lower, names, random))
            if parameters:
                network, _, how = key.partition("/")[2].partition("-")
                terms = tuple(f"{network}/{term}" for term in TERMS.get(how, ("logistic",)))
                files.training(f"tracking/{key}/seed{seed}", key, parameters, milliseconds, terms, random)
    queries = {name: len(registry.load_queries(name, _root_of(root, name))) for name in SEARCH_HARDER}
    part = from_profile(profile, target="ablations").person_search
    variants = {variant.key: variant for variant in part.variants}
    for order, (key, (values, parameters, milliseconds)) in enumerate((SEARCH | SEARCH_ABLATIONS).items()):
        variant = variants[key]
        for seed, value in enumerate(values):
            for number, name in enumerate(variant.benchmarks or part.benchmarks):
                if key in SEARCH_ABLATIONS and name != "cuhk_sysu":
                    continue
                random = np.random.default_rng([order, seed, number])
                found = _searched(name, variant, value, queries[name], random)
                if variant.model == "oim":
                    found["on_true_boxes"] = {name: min(1.0, found["numbers"][name] + 0.1) for name in ("map", "top1")}
                files.metric(name, key, seed, found)
            for trained_on in ("cuhk_sysu", "prw") if parameters else ():
                if key in SEARCH_ABLATIONS and trained_on != "cuhk_sysu":
                    continue
                own = SEARCH_TERMS["detector" if variant.teaching in ("detector", "both") else "plain"]
                own = own[:4] if variant.model == "detector" else own  # it tells nobody apart
                terms = tuple(f"{variant.variant}/{term}" for term in own)
                terms = ("identity",) if variant.model == "reid" else terms
                random = np.random.default_rng([order, seed, len(trained_on)])
                name = f"{trained_on}/{key}"
                files.training(f"person_search/{name}/seed{seed}", name, parameters, milliseconds, terms, random)
    files.sidecars += _lookups(root, part.tables)
    metrics, sidecars, curves, compute = files.metrics, files.sidecars, files.curves, files.compute
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
        features=_features(root / "features.npz"),
        searches=[_search(root, strategy) for strategy in ("policy", "random")],
        maps=_maps(root / "maps.npz"),
    )


@pytest.fixture(scope="session")
def run(made: Run) -> Run:
    """The headline."""
    others = set(ABLATIONS) | set(SEARCH_ABLATIONS)
    return replace(
        made,
        metrics=[path for path in made.metrics if "/".join(path.parts[-3:-1]) not in others],
        sidecars=[path for path in made.sidecars if "/".join(path.parts[-3:-1]) not in others],
        curves=[path for path in made.curves if "/".join(path.parts[-3:-1]) not in others],
    )


@pytest.fixture(scope="session")
def ablated(made: Run, profile: profiles.Profile) -> Run:
    """The ablations, beside the headline."""
    params = from_profile(profile, target="ablations", with_config=True).model_dump(mode="json")
    return replace(made, params=params)


@dataclass
class _Files:
    """What trainings and scorings would have written under a root."""

    root: Path
    metrics: list[Path]
    sidecars: list[Path]
    curves: list[Path]
    compute: dict[str, dict[str, Any]]

    def metric(self, benchmark: str, key: str, seed: int, detail: dict[str, Any], folder: str = "metrics") -> None:
        model, variant = key.split("/")
        path = self.root / folder / benchmark / key / f"seed{seed}.json"
        write_json(path, {"benchmark": benchmark, "model": model, "variant": variant, "seed": seed} | detail)
        self.metrics.append(path)

    def training(
        self, path: str, name: str, parameters: int, milliseconds: float, terms: tuple[str, ...], random: Any
    ) -> None:
        side = self.root / "checkpoints" / f"{path}.json"
        write_json(side, {"parameter_count": parameters, "bytes": 4 * parameters, "kind": side.parts[-3]})
        self.sidecars.append(side)
        self.curves.append(side.with_suffix(".jsonl"))
        _curve(self.curves[-1], terms, random)
        self.compute[name] = {
            "parameters": parameters,
            "bytes": 4 * parameters,
            "macs": parameters * 300,
            "milliseconds": milliseconds,
            "fps": 1000 / milliseconds,
            "step": "one frame",
        }


def _root_of(root: Path, benchmark: str) -> Path:
    return root / "data" / benchmark.removesuffix("_mini")


def _tracked(benchmark: str, value: float, names: list[str], random: np.random.Generator) -> dict[str, Any]:
    counts = {"sequences": len(names), "frames": 9 * len(names)}
    if benchmark == "vot2019":
        curve = np.exp(-np.arange(8) * (1 - value) / 4)
        return {
            "protocol": "vot/pysot",
            "numbers": {"eao": value, "accuracy": value + 0.2, "robustness": 1.4 - value, "lost": 7.0},
            "curves": {"expected_overlap": curve.tolist()},
            "interval": {"low": 3, "high": 6, "source": "test"},
            "by_attribute": {tag: {"accuracy": value + 0.1, "robustness": None} for tag in ("occlusion", "empty")},
            "counts": counts,
        }
    points = 21 if benchmark == "trackingnet" else 51
    thresholds = np.linspace(0, 1, 21)
    success = np.clip(1.02 - thresholds ** (value / (1 - value)) + 0.01 * random.normal(size=21), 0, 1)
    success = np.sort(success)[::-1]
    precision = np.clip(1 - np.exp(-np.linspace(0, 50, points) * value / 10), 0, 1)
    tags = ("OCC", "SV", "BC", "OPR") if benchmark != "trackingnet" else ()
    last = {"coverage": 0.999} if benchmark == "trackingnet" else {"success_rate_50": value + 0.12}
    return {
        "protocol": "trackingnet/server" if benchmark == "trackingnet" else "ope/got10k",
        "numbers": {"auc": value, "precision": value + 0.15, "normalized_precision": value + 0.1} | last,
        "curves": {
            "success": success.tolist(),
            "precision": precision.tolist(),
            "normalized_precision": precision.tolist(),
        },
        "per_sequence": {name: {"auc": float(np.clip(value + 0.1 * random.normal(), 0, 1))} for name in names},
        "by_attribute": {tag: {"auc": value - 0.01 * n, "sequences": n + 1} for n, tag in enumerate(tags)},
        "counts": counts,
    }


def _searched(
    benchmark: str, variant: Variant, value: float, queries: int, random: np.random.Generator
) -> dict[str, Any]:
    value = max(value - SEARCH_HARDER[benchmark], 0.01)
    numbers = {"map": value, "top1": value + 0.02, "top5": value + 0.2, "top10": value + 0.25}
    size = 0.15 if variant.network == "small" else 0.0
    detected = {"ap": AP[variant.teaching or "both"] - size + 0.02 * random.normal(), "recall": 0.9}
    found: dict[str, Any] = {"protocol": "official", "counts": {"queries": queries, "gallery_images": 24}}
    if variant.model == "detector":
        return found | {"numbers": detected, "counts": {"gallery_images": 24}}
    # A detection of QEEPS belongs to a query; true boxes are all there.
    found["numbers"] = numbers | ({"ap": 1.0, "recall": 1.0} if variant.true_boxes else detected)
    if variant.model == "qeeps" and benchmark == "prw_mini":
        found["numbers"] = numbers
    if benchmark == "cuhk_sysu":
        lower = {"6": {name: x + 0.04 for name, x in numbers.items()}, "12": numbers}
        found["by_gallery_size"] = {"6": lower["6"]} if variant.model == "qeeps" else lower
        found["gallery_size"] = 12
        found["by_subset"] = {name: {"map": 0.8 * value, "queries": 3} for name in ("Occlusion", "Resolution")}
    return found | {"per_query": {"ap": np.clip(value + 0.3 * random.normal(size=queries), 0, 1).tolist()}}


def _lookups(root: Path, tables: dict[str, str]) -> list[Path]:
    """Sidecars of look-up tables; random rows have nothing to be compared with."""
    found = []
    for place, (trained_on, name, seed) in enumerate(
        (trained_on, name, seed) for trained_on in ("cuhk_sysu", "prw") for name in tables for seed in SEEDS
    ):
        noise = 0.01 * np.random.default_rng(place).normal()
        quality = {"inter_class": 0.02 + noise, "nearest": 0.45 + noise}
        if name != "random":
            quality |= {"intra_class": 0.83 + noise, "top1": 0.97 + noise}
        if name == "reid":
            quality |= {"held_out": 30.0, "held_out_top1": 0.71 + noise}
        path = root / "checkpoints" / "person_search" / trained_on / "lookup" / name / f"seed{seed}.json"
        construction = {"reid": "mean", "oim_final": "final", "random": "random"}[name]
        described = {"kind": "lookup", "identities": 8, "dimension": 16, "construction": construction}
        write_json(path, described | {"quality": quality})
        found.append(path)
    return found


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
        {
            "siamfc/teacher": 2,
            "siamfc/dim-tsskd": 3,
            "siamfc/dim-ground_truth": 7,
            "baseline/ncc": 12,
            "siamrpn/teacher": 1,
            "siamrpn/dim-tsskd": 2,
            "siamrpn/dim-ground_truth": 5,
        }.items()
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
    for benchmark in SEARCH_HARDER:
        place = _root_of(root, benchmark)
        pool, queries = registry.load_pool(benchmark, place).images, registry.load_queries(benchmark, place)
        for order, (key, noise) in enumerate({"oim/large-oim": 0.35, "oim/large-oim_both": 0.2}.items()):
            random = np.random.default_rng(order)
            centres = np.random.default_rng(9).normal(size=(2000, 16))
            names, boxes, features = [], [], []
            for image in pool:
                for box, identity in zip(image.boxes, image.ids, strict=True):
                    centre = centres[identity] if identity >= 0 else random.normal(size=16)
                    names.append(image.name)
                    boxes.append(box)
                    features.append(centre + 4 * noise * random.normal(size=16))
            asked = centres[[query.identity for query in queries]]
            path = root / "predictions" / benchmark / key / "seed0.npz"
            write_predictions(
                path,
                Predictions(
                    gallery_image=np.array(names),
                    gallery_box=np.array(boxes, np.float32),
                    gallery_score=np.full(len(names), 0.9, np.float32),
                    gallery_feature=np.array(features, np.float32),
                    query_feature=(asked + noise * random.normal(size=asked.shape)).astype(np.float32),
                ),
            )
            write_json(path.with_suffix(".json"), {"seconds": 1.0})
            found.append(path.with_suffix(".json"))
    return found


def _features(path: Path) -> Path:
    """Two networks: one whose features lie near rows of its own, one nearer to given ones."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2, 8, 16))
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    ids = np.repeat(np.arange(8), 4)
    features = rows[:, ids] + np.array([0.25, 0.15])[:, None, None] * random.normal(size=(2, 32, 16))
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    similarity = np.einsum("snd,skd->snk", features, rows)
    own = np.take_along_axis(similarity, np.broadcast_to(ids[None, :, None], (2, 32, 1)), 2)[..., 0]
    np.put_along_axis(similarity, np.broadcast_to(ids[None, :, None], (2, 32, 1)), -2, 2)
    np.savez(
        path,
        networks=np.array(["oim/large-oim", "oim/large-oim_table"]),
        given=np.array([False, True]),
        identities=np.arange(8),
        rows=rows.astype(np.float32),
        ids=ids,
        features=features.astype(np.float32),
        own=own.astype(np.float32),
        other=similarity.max(2).astype(np.float32),
        seed=0,
    )
    return path


def _search(root: Path, strategy: str) -> Path:
    visited = [
        {"update": 0, "ratios": [0.5], "parameters": 30_000, "within": False, "accuracy": None, "reward": -0.4},
        {"update": 0, "ratios": [0.3], "parameters": 11_000, "within": True, "accuracy": 0.40, "reward": 0.66},
        {"update": 1, "ratios": [0.2], "parameters": 7_300, "within": True, "accuracy": 0.45, "reward": 0.75},
    ]
    found = {
        "kind": "siamfc", "strategy": strategy, "architecture": {}, "channels": [5, 12, 19, 19, 12],
        "parameters": 7_300, "size_ratio": 20.0, "reward": 0.75, "accuracy": 0.45, "teacher_accuracy": 0.6,
        "budget": 13, "visited": visited,
    }  # fmt: skip
    path = root / "selection" / "siamfc" / f"{strategy}.json"
    write_json(path, found)
    return path


def _maps(path: Path) -> Path:
    random = np.random.default_rng(0)
    networks, frames = np.array(["siamfc/teacher", "siamfc/dim-tskd"]), np.array(["A, frame 4", "B, frame 5"])
    np.savez(
        path,
        networks=networks,
        frames=frames,
        search=random.integers(0, 255, (2, 31, 31, 3), dtype=np.uint8),
        box=np.array([[8.0, 9, 10, 12]] * 2),
        score=random.normal(size=(2, 2, 9, 9)).astype(np.float32),
        target=random.random((2, 2, 11, 11)).astype(np.float32),
        layer=5,
        gap=3,
        seed=0,
    )
    return path


def _written(run: Run, name: str) -> Path:
    from distillery.paper.tables import write_tables

    out = run.root / name
    write_tables(run.params, run.metrics, run.sidecars, run.compute, out, curve_files=run.curves, searches=run.searches)
    return out


def _drawn(run: Run, name: str) -> Path:
    from distillery.paper.figures import write_figures

    write_figures(
        run.params, run.metrics, run.curves, run.compute, run.data, run.predictions, run.root / name,
        searches=run.searches, maps=run.maps, features=run.features,
    )  # fmt: skip
    return run.root / name


def _judged(run: Run, profile: profiles.Profile, target: Target, name: str) -> Path:
    from distillery.paper.claims import write_claims

    write_claims(claims_job.claims(profile, target), run.metrics, run.compute, run.root / name)
    return run.root / name / "claims.json"


def _reported(run: Run, tables: Path, figures: Path, claims: Path, name: str) -> Path:
    from distillery.paper.report import write_report

    write_report(run.params, tables, figures, run.metrics, claims, run.root / name)
    return run.root / name


@pytest.fixture(scope="session")
def tables(run: Run) -> Path:
    return _written(run, "tables")


@pytest.fixture(scope="session")
def figures(run: Run) -> Path:
    return _drawn(run, "figures")


@pytest.fixture(scope="session")
def claims(run: Run, profile: profiles.Profile) -> Path:
    return _judged(run, profile, "headline", "claims")


@pytest.fixture(scope="session")
def report(run: Run, tables: Path, figures: Path, claims: Path) -> Path:
    return _reported(run, tables, figures, claims, "report.html")


@pytest.fixture(scope="session")
def ablation_tables(ablated: Run) -> Path:
    return _written(ablated, "ablations/tables")


@pytest.fixture(scope="session")
def ablation_figures(ablated: Run) -> Path:
    return _drawn(ablated, "ablations/figures")


@pytest.fixture(scope="session")
def ablation_claims(ablated: Run, profile: profiles.Profile) -> Path:
    return _judged(ablated, profile, "ablations", "ablations/claims")


@pytest.fixture(scope="session")
def ablation_report(ablated: Run, ablation_tables: Path, ablation_figures: Path, ablation_claims: Path) -> Path:
    return _reported(ablated, ablation_tables, ablation_figures, ablation_claims, "ablations/report.html")
