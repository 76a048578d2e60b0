"""Tables from teachers of every kind, by every construction, and what stands beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from distillery.config.search_distillation import LookUp, QueryGuidance
from distillery.config.search_jobs import LookUpJob
from distillery.data.images import read_image
from distillery.engine.devices import prepare
from distillery.errors import UserError
from distillery.person_search import teachers
from distillery.person_search.checkpoints import load_network
from distillery.person_search.dataset import as_input, crop, load_resized
from distillery.person_search.lookup import load_table, mean_rows
from distillery.person_search.network import OIMNetwork
from distillery.person_search.reid_training import train_reid
from distillery.person_search.splits import training_split
from distillery.person_search.tables import MEASURED, build_table
from distillery.person_search.teachers import teacher_features
from distillery.person_search.training import train_search
from person_search import builders
from person_search.search_jobs import COMPUTE, DIMENSION, NAME, dataset, reid_training, search_training, student

CPU = prepare(COMPUTE)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A briefly trained teacher of every kind, and a detector."""
    folder = tmp_path_factory.mktemp("teachers")
    found = {name: folder / f"{name}.safetensors" for name in ("reid", "oim", "qeeps", "detector")}
    train_reid(reid_training(), manifest, found["reid"])
    train_search(search_training(), manifest, {NAME: found["oim"]})
    train_search(search_training(method="qeeps", query=QueryGuidance()), manifest, {NAME: found["qeeps"]})
    detector = search_training(method="detector", students={"d": student(identification=None)})
    train_search(detector, manifest, {"d": found["detector"]})
    return found


def job(construction: str = "mean", **changes: Any) -> LookUpJob:
    table = LookUp.model_validate({"construction": construction})
    return LookUpJob(seed=0, compute=COMPUTE, table=table).model_copy(update=changes)


def sidecar(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return found


def rewritten(path: Path, folder: Path, **changes: Any) -> Path:
    """A copy of a checkpoint with changes in its sidecar."""
    copy = folder / "changed.safetensors"
    copy.write_bytes(path.read_bytes())
    copy.with_suffix(".json").write_text(json.dumps({**sidecar(path), **changes}))
    return copy


@pytest.mark.parametrize("kind", ["reid", "oim", "qeeps"])
def test_mean_table_of_every_kind(trained, manifest, tmp_path, kind):
    out = tmp_path / "t.safetensors"
    build_table(job(), manifest, trained[kind], out)
    split = training_split(manifest)
    features, ids = teacher_features(trained[kind], split, CPU)
    assert sorted(ids.tolist()) == [0, 0, 1, 1]
    assert torch.equal(load_table(out, 2, DIMENSION), mean_rows(features, ids, 2))
    numbers = sidecar(out)["quality"]
    assert set(numbers) == {"inter_class", "nearest", "intra_class", "top1", "held_out", "held_out_top1"}
    assert numbers["held_out"] == sidecar(out)["features"] == 4
    first, second = load_file(out)["rows"]
    assert numbers["inter_class"] == pytest.approx(float(first @ second), abs=1e-6)
    assert sidecar(out)["measured"] == MEASURED["mean"]
    before = out.read_bytes(), out.with_suffix(".json").read_bytes()
    build_table(job(), manifest, trained[kind], out)
    assert (out.read_bytes(), out.with_suffix(".json").read_bytes()) == before


def test_crops_are_described_as_one_by_one(trained, manifest):
    split, network = training_split(manifest), load_network(trained["reid"], "reid")
    features, ids = teacher_features(trained["reid"], split, CPU)
    expected, identities = [], []
    for image in split.images:
        for box, identity in zip(image.boxes, image.ids, strict=True):
            if identity >= 0:
                expected.append(network.embed([crop(read_image(image.path), box, network.crop)], CPU.torch))
                identities.append(int(identity))
    torch.testing.assert_close(features, torch.cat(expected))
    assert ids.tolist() == identities


@pytest.mark.parametrize("kind", ["oim", "qeeps"])
def test_boxes_are_described_in_the_resized_image(trained, manifest, kind):
    split, network = training_split(manifest), load_network(trained[kind], kind)
    assert isinstance(network, OIMNetwork)
    features, _ = teacher_features(trained[kind], split, CPU)
    expected = []
    for image in split.images:
        pixels, scale = load_resized(image, search_training().resize)
        maps = network.look(as_input(pixels, network.stem.stride, CPU.torch), [pixels.shape[:2]])
        for box, identity in zip(image.boxes, image.ids, strict=True):
            if identity >= 0:
                with torch.no_grad():
                    expected.append(network.describe(maps, torch.from_numpy(box[None] * np.float32(scale))))
    torch.testing.assert_close(features, torch.cat(expected))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize("kind", ["oim", "qeeps"])
def test_each_image_passes_the_stem_once(trained, manifest, monkeypatch, kind):
    looks: list[int] = []
    network = type(load_network(trained[kind]))
    original = network.look
    monkeypatch.setattr(network, "look", lambda self, *args: looks.append(1) or original(self, *args))
    images = training_split(manifest).images
    teacher_features(trained[kind], training_split(manifest), CPU)
    assert len(looks) == sum(bool((image.ids >= 0).any()) for image in images) == 3


@pytest.mark.parametrize("kind", ["oim", "qeeps"])
def test_final_table_is_the_teachers_own(trained, manifest, tmp_path, kind):
    out = tmp_path / "t.safetensors"
    build_table(job("final"), manifest, trained[kind], out)
    assert torch.equal(load_table(out, 2, DIMENSION), load_file(trained[kind])["identification.table"])
    numbers = sidecar(out)["quality"]
    assert set(numbers) == {"inter_class", "nearest", "intra_class", "top1", "to_mean"}
    means = mean_rows(*teacher_features(trained[kind], training_split(manifest), CPU), 2)
    assert numbers["to_mean"] == pytest.approx(float((means * load_file(out)["rows"]).sum(1).mean()), abs=1e-6)
    assert "nothing was held out" in sidecar(out)["measured"]


def test_final_table_of_a_network_on_crops(trained, manifest, tmp_path):
    with pytest.raises(UserError, match="has no table of its own; set construction: mean"):
        build_table(job("final"), manifest, trained["reid"], tmp_path / "t.safetensors")


def test_final_table_of_a_teacher_with_a_fixed_one(trained, manifest, tmp_path):
    build_table(job("random", dimension=DIMENSION), manifest, None, tmp_path / "given.safetensors")
    for name, frozen in (("fixed", True), ("started", False)):
        outputs = {NAME: tmp_path / f"{name}.safetensors"}
        parameters = search_training(students={NAME: student(frozen=frozen)})
        train_search(parameters, manifest, outputs, tables={NAME: tmp_path / "given.safetensors"})
    with pytest.raises(UserError, match="was trained with a fixed table, not one of its own; set construction: mean"):
        build_table(job("final"), manifest, tmp_path / "fixed.safetensors", tmp_path / "t.safetensors")
    build_table(job("final"), manifest, tmp_path / "started.safetensors", tmp_path / "t.safetensors")


def test_final_table_with_rows_never_written(trained, manifest, tmp_path):
    copy = rewritten(trained["oim"], tmp_path)
    tensors = load_file(copy)
    tensors["identification.table"][1] = 0
    save_file(tensors, copy)
    with pytest.raises(
        UserError, match=r"has no row for 1 of 2 identities: .* train it longer and on all identities, or"
    ):
        build_table(job("final"), manifest, copy, tmp_path / "t.safetensors")
    tensors["identification.table"][0] = float("nan")
    save_file(tensors, copy)
    with pytest.raises(UserError, match="has no row for 2 of 2 identities"):
        build_table(job("final"), manifest, copy, tmp_path / "t.safetensors")
    assert not (tmp_path / "t.safetensors").exists()


def test_final_table_of_a_teacher_of_few_identities(manifest, tmp_path):
    parameters = search_training(students={NAME: student(identities=1)})
    train_search(parameters, manifest, {NAME: tmp_path / "few.safetensors"})
    with pytest.raises(UserError, match="has no row for 1 of 2 identities"):
        build_table(job("final"), manifest, tmp_path / "few.safetensors", tmp_path / "t.safetensors")
    build_table(job(), manifest, tmp_path / "few.safetensors", tmp_path / "t.safetensors")
    assert len(load_file(tmp_path / "t.safetensors")["rows"]) == 2


@pytest.mark.parametrize("inputs", [{"data": "0" * 64}, {}, None])
def test_final_table_of_another_dataset(trained, manifest, tmp_path, inputs):
    copy = rewritten(trained["oim"], tmp_path, inputs=inputs)
    with pytest.raises(UserError, match="was trained on another dataset, so the rows of its table belong to other"):
        build_table(job("final"), manifest, copy, tmp_path / "t.safetensors")


@pytest.mark.parametrize("construction", ["mean", "final", "random"])
def test_detector_describes_nobody(trained, manifest, tmp_path, construction):
    with pytest.raises(UserError, match="kind 'detector', not 'reid' or 'oim' or 'qeeps'"):
        build_table(job(construction), manifest, trained["detector"], tmp_path / "t.safetensors")


@pytest.mark.parametrize("construction", ["mean", "final"])
def test_teacher_is_needed(manifest, tmp_path, construction):
    with pytest.raises(UserError, match=f"the {construction} table needs a re-ID teacher; pass --teacher"):
        build_table(job(construction), manifest, None, tmp_path / "t.safetensors")


@pytest.mark.parametrize("kind", ["reid", "oim", "qeeps"])
def test_length_is_checked_before_anything_is_computed(trained, manifest, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(teachers, "describe_labelled", lambda *_: pytest.fail("was computed"))
    with pytest.raises(UserError, match=f"makes features of length {DIMENSION}, the table is to have 5"):
        build_table(job(dimension=5), manifest, trained[kind], tmp_path / "t.safetensors")


@pytest.mark.parametrize("kind", ["reid", "oim"])
def test_random_rows_take_a_teachers_length(trained, manifest, tmp_path, kind):
    build_table(job("random"), manifest, trained[kind], tmp_path / "t.safetensors")
    assert load_table(tmp_path / "t.safetensors", 2, DIMENSION).shape == (2, DIMENSION)
    assert set(sidecar(tmp_path / "t.safetensors")["quality"]) == {"inter_class", "nearest"}


@pytest.mark.parametrize("kind", ["reid", "oim"])
@pytest.mark.parametrize("construction", ["mean", "final"])
def test_teacher_with_broken_weights(trained, manifest, tmp_path, kind, construction):
    copy = rewritten(trained[kind], tmp_path)
    tensors = load_file(copy)
    tensors["stem.conv1.weight"].fill_(float("nan"))
    save_file(tensors, copy)
    message = "has no table of its own" if (kind, construction) == ("reid", "final") else "hold NaN or infinity"
    with pytest.raises(UserError, match=message):
        build_table(job(construction), manifest, copy, tmp_path / "t.safetensors")
    assert not (tmp_path / "t.safetensors").exists()


def test_prw_with_frames_of_two_sizes(tmp_path):
    root, manifest = builders.write_prw_root(tmp_path / "prw"), tmp_path / "prw.json"
    manifest.write_text('{"benchmark": "prw"}')
    with Image.open(root / "frames/c6s1_000003.jpg") as frame:
        frame.crop((0, 0, 150, 120)).save(root / "frames/c6s1_000003.jpg")
    train_reid(reid_training(), manifest, tmp_path / "reid.safetensors")
    train_search(search_training(), manifest, {NAME: tmp_path / "oim.safetensors"})
    for kind, construction in (("reid", "mean"), ("oim", "mean"), ("oim", "final")):
        out = tmp_path / f"{kind}-{construction}.safetensors"
        build_table(job(construction), manifest, tmp_path / f"{kind}.safetensors", out)
        assert load_table(out, 3, DIMENSION).shape == (3, DIMENSION)
        assert sidecar(out)["features"] == 5
    # Two of the three people have two boxes, the third has one.
    assert sidecar(tmp_path / "reid-mean.safetensors")["quality"]["held_out"] == 4
    with pytest.raises(UserError, match="has 3 rows, the training set has 2 identities"):
        load_table(tmp_path / "reid-mean.safetensors", 2, DIMENSION)
