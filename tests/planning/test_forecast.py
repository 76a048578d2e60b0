"""Times and limits worked by hand from the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distillery.config.profile import Profile, load
from distillery.planning import forecast
from distillery.planning.estimates import Estimates, load_estimates
from distillery.planning.rules import rule_table
from distillery.planning.work import Work

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture(scope="module")
def estimates() -> Estimates:
    return load_estimates(CONFIG / "estimates.yaml")


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load(CONFIG / "paper.yaml")


def test_reading_hides_behind_computing_where_it_is_overlapped(estimates: Estimates) -> None:
    rate, call, start = (getattr(estimates.devices, name).value for name in ("gpu_macs", "gpu_call", "start"))
    work = Work("x", gpu=True, macs=100 * rate, calls=50 / call, core_seconds=400.0)
    assert forecast.seconds(work, estimates, threads=4, speed=1.0) == pytest.approx(start + 100 + 50 + 400)
    work = work._replace(overlapped=True)
    assert forecast.seconds(work, estimates, threads=4, speed=1.0) == pytest.approx(start + 150)
    assert forecast.seconds(work, estimates, threads=2, speed=1.0) == pytest.approx(start + 200)
    assert forecast.seconds(work, estimates, threads=4, speed=10.0) == pytest.approx(start + 100), "bound by reading"


def test_without_a_gpu_cores_compute(estimates: Estimates) -> None:
    work = Work("x", gpu=True, macs=60 * estimates.devices.core_macs.value)
    start = estimates.devices.start.value
    assert forecast.seconds(work, estimates, threads=1, speed=None) == pytest.approx(start + 60)
    assert forecast.seconds(work, estimates, threads=3, speed=None) == pytest.approx(start + 20)


def test_limits_grow_with_each_attempt(estimates: Estimates) -> None:
    work = Work("x", seconds=3600.0, memory_mb=3000.0)
    margin = estimates.devices.margin.value
    limits = [forecast.limit_minutes(work, estimates, threads=1, speed=None, attempt=n) for n in (1, 2, 3)]
    assert limits == [60 * margin, 120 * margin, 180 * margin]
    assert [forecast.memory_mb(work, attempt=n) for n in (1, 2)] == [4500, 9000]
    assert forecast.limit_minutes(Work("x"), estimates, threads=1, speed=None) == forecast.SHORTEST_LIMIT


def test_a_training_by_hand(estimates: Estimates, profile: Profile) -> None:
    """SiamRPN++'s teacher: 428,571 steps of 28 pairs, three times 59.46e9 multiply-adds each."""
    work = rule_table(profile, estimates)["train_siamrpnpp_teacher"]({"seed": "0"})
    assert work.amounts == {"steps": 428571, "pairs": 428571 * 28}
    assert work.macs == pytest.approx(3 * 59.46e9 * 428571 * 28, rel=1e-3)
    assert work.disk_mb == pytest.approx(215.8, abs=0.1), "four bytes for each of 53,950,624 parameters"


def test_a_job_for_all_seeds_does_the_work_of_all(estimates: Estimates, profile: Profile) -> None:
    table = rule_table(profile, estimates)
    names = {"trained_on": "prw", "network": "large"}
    one, every = (table["train_search_oim"](names | seeds) for seeds in ({"seed": "1"}, {}))
    assert every.macs == pytest.approx(3 * one.macs)
    assert every.amounts["steps"] == 3 * one.amounts["steps"]


def test_the_parts_of_a_benchmark_do_the_work_of_the_whole(estimates: Estimates, profile: Profile) -> None:
    table = rule_table(profile, estimates)
    names = {"family": "siamfc", "variant": "teacher", "seed": "0"}
    whole = table["track_lasot"](names)
    part = table["track_lasot_part"](names | {"scatteritem": "2-of-4"})
    assert part.gpu and part.amounts["frames"] == whole.amounts["frames"] / 4
    assert (4 * part.macs, 4 * part.core_seconds) == pytest.approx((whole.macs, whole.core_seconds))
    assert part.memory_mb == whole.memory_mb
    assert not table["join_lasot"](names).gpu


def test_qeeps_looks_at_every_pair(estimates: Estimates, profile: Profile) -> None:
    table = rule_table(profile, estimates)
    names = {"variant": "large-qeeps", "seed": "0"}
    assert table["search_cuhk_sysu_qeeps"](names).amounts["pairs"] == 2900 * 100
    assert table["search_prw_qeeps"](names).amounts["pairs"] == 30 * 6111
    assert table["search_prw_oim"](names | {"variant": "large-oim"}).amounts["pairs"] == 0


def test_the_published_times_are_met(estimates: Estimates, profile: Profile) -> None:
    """Of the two trackers from which the speed of a GPU was taken, within a half: their launches are in it as well."""
    table = rule_table(profile, estimates)
    for family, variant, published in (("siamrpn", "teacher", 90), ("siamrpnpp", "teacher", 35)):
        work = table["track_otb100"]({"family": family, "variant": variant, "seed": "0"})
        devices = estimates.devices
        seconds = work.macs / devices.gpu_macs.value + work.calls * devices.gpu_call.value
        assert work.amounts["frames"] / seconds == pytest.approx(published, rel=0.5)


def test_what_the_snakefile_imports_of_the_plan_is_light() -> None:
    """Every job of a cluster parses the Snakefile: no torch, no pandas."""
    program = (
        "import sys; from pathlib import Path; from distillery.config.profile import load\n"
        "from distillery.planning import needed, resources\n"
        f"of = resources.functions(load({str(CONFIG / 'paper.yaml')!r}), Path({str(CONFIG / 'estimates.yaml')!r}))\n"
        "print(of[0]({'seed': '0'}, 4, 1, 'train_siamfc_teacher') > 0, {'torch', 'pandas', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "True set()"
