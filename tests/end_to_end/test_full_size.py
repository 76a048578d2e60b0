"""Every job of config/paper.yaml at full size, for one step, on a CPU (tests/full_size.py says what is replaced).

13 minutes and 11 gigabytes: `make test-slow`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from distillery.config import jobs
from distillery.config.profile import load
from full_size import COMPUTE, Workshop, losses, parameters, run
from project import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.full_size]

PROFILE = load(REPOSITORY / "config/paper.yaml")
TRACKERS = [(family, name) for family, section in PROFILE.tracking.families.items() for name in section.runs]
SEARCHERS = [
    (place, name, network)
    for name, spec in PROFILE.person_search.runs.items()
    for network in spec.networks
    for place in (spec.benchmarks or PROFILE.person_search.benchmarks)[:1]
]
PUBLISHED = {
    "siamfc/teacher": 2_336_320,  # siamfc-pytorch, AlexNetV1
    "siamfc/intelligent": 593_800,  # half the channels: 2.375 MB
    "siamrpn/teacher": 90_436_132,  # DaSiamRPN, SiamRPNBIG: 361.7 MB
    "siamrpn/intelligent": 22_632_500,  # DaSiamRPN, SiamRPNVOT: 90.53 MB
    "siamrpnpp/teacher": 53_950_624,  # pysot, siamrpn_r50_l234_dwxcorr
    "siamrpnpp/r34": 30_395_296,  # pysot's code with ResNet-34 and -18 (benchmarks/RESULTS.md)
    "siamrpnpp/r18": 20_287_136,
    "large-oim": 28_800_000,  # serend1p1ty/person_search, the same network: 28.8 million
}
"""Network -> parameters where they are published or follow from what is, to the digits given there."""


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with tempfile.TemporaryDirectory() as folder:  # pytest would keep the gigabytes of three runs
        yield Workshop(Path(folder), PROFILE)


def expect(name: str, checkpoint: Path) -> None:
    if name in PUBLISHED:
        assert parameters(checkpoint) == pytest.approx(PUBLISHED[name], rel=5e-4), name


@pytest.mark.parametrize(("family", "name"), TRACKERS)
def test_a_run_of_trackers(workshop: Workshop, family: str, name: str) -> None:
    spec, made = PROFILE.tracking.families[family].runs[name], workshop.tracker(family, name)
    for network, checkpoint in made.items():
        terms = losses(checkpoint)
        assert any(term.startswith(f"{network}/") for term in terms)
        assert ("teacher/ground_truth" in terms) == (spec.teacher is not None)
        if not spec.teacher and not spec.control:  # it starts where it can learn: log 2 is to say nothing
            assert terms[f"{network}/logistic"] < 3
        expect(f"{family}/{network}", checkpoint)
    workshop.forget(*made.values())


@pytest.mark.parametrize("strategy", ["policy", "random", "uniform"])
@pytest.mark.parametrize("family", ["siamfc", "siamrpn"])
def test_a_search_for_students(workshop: Workshop, family: str, strategy: str) -> None:
    assert workshop.selected(family, strategy).is_file()


@pytest.mark.parametrize(("place", "name", "network"), SEARCHERS)
def test_a_run_of_person_search(workshop: Workshop, place: str, name: str, network: str) -> None:
    made = workshop.searcher(place, name, network)
    for student, checkpoint in made.items():
        terms = losses(checkpoint)
        assert any(term.startswith(f"{network}-{student}/") for term in terms)
        expect(f"{network}-{student}", checkpoint)
    workshop.forget(*made.values())


def test_the_network_on_crops(workshop: Workshop) -> None:
    checkpoint = workshop.reid("cuhk_sysu")
    assert losses(checkpoint)["loss"] > 0
    # torchvision's ResNet-50 without its classifier, a layer from 2,048 to 256 numbers with its BatchNorm, and the
    # weights of the two identities.
    assert parameters(checkpoint) == 23_508_032 + 2048 * 256 + 2 * 256 + 2 * 256


@pytest.mark.parametrize("name", PROFILE.person_search.tables)
def test_a_look_up_table(workshop: Workshop, name: str) -> None:
    assert workshop.table("cuhk_sysu", name).is_file()


@pytest.mark.parametrize(("family", "name", "network"), [
    ("siamfc", "teacher", "teacher"), ("siamfc", "tsskd", "dim"), ("siamrpn", "teacher", "teacher"),
    ("siamrpn", "tsskd", "dim"), ("siamrpnpp", "teacher", "teacher"), ("siamrpnpp", "tsskd", "mobile"),
])  # fmt: skip
def test_tracking(workshop: Workshop, tmp_path: Path, family: str, name: str, network: str) -> None:
    asked = jobs.track(PROFILE, family)
    asked["compute"] |= COMPUTE
    data, checkpoint = workshop.data("otb100"), workshop.tracker(family, name)[network]
    root = str(data.with_suffix(""))
    run("track", "--on", "otb100", root, tmp_path / "results", "--checkpoint", checkpoint, params=asked)
    (result,) = (tmp_path / "results").glob("*.txt")
    assert len(result.read_text().splitlines()) == 4
    workshop.forget(checkpoint)


@pytest.mark.parametrize(
    "key", ["oim/large-oim", "oim/small-oim", "qeeps/large-qeeps", "detector/large-detector", "reid"]
)
def test_searching(workshop: Workshop, tmp_path: Path, key: str) -> None:
    method = key.split("/")[0]
    asked = jobs.search(PROFILE, method, true_boxes=method == "reid")
    asked["compute"] |= COMPUTE
    asked["gallery_size"] = 2 if asked["gallery_size"] else None  # that of the small set
    checkpoint = workshop.reid("cuhk_sysu") if method == "reid" else workshop.variant("cuhk_sysu", key)
    root, file = workshop.data("cuhk_sysu").with_suffix(""), tmp_path / "found.npz"
    run("search", "--root", root, "--checkpoint", checkpoint, "--results", f"cuhk_sysu={file}", params=asked)
    assert file.stat().st_size > 0
