"""Every number that a scorer writes has a row among the measures, or no table would show it."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from distillery.config.tracking import BenchmarkName
from distillery.paper.measures import BENCHMARK_LABELS, HEADLINE, TRACKING
from distillery.tracking.protocols import got10k, lasot, ope, trackingnet, vot
from distillery.tracking.protocols.vot_interval import Interval
from distillery.tracking.protocols.vot_runs import STARTED, TRACKED, Case, Run

BOXES = np.array([[10.0, 10.0, 20.0, 20.0]] * 4)


def _one_pass(variants):
    return [ope.numbers(ope.evaluate(BOXES, BOXES, how), how) for how in variants.values()]


def _vot():
    regions = np.full((4, 8), math.nan)
    regions[1:, :4] = BOXES[1:]
    run = Run(np.array([STARTED, TRACKED, TRACKED, TRACKED], dtype=np.int8), regions)
    case = Case("one", BOXES, (64, 64), (run,), {})
    return [vot.evaluate([case], how, Interval(2, 4, "argument")).numbers for how in vot.VARIANTS.values()]


SCORED = {
    "otb100": _one_pass(ope.VARIANTS),
    "dtb70": _one_pass(ope.VARIANTS),
    "lasot": _one_pass(lasot.VARIANTS),
    "trackingnet": [trackingnet.numbers(trackingnet.evaluate(BOXES, BOXES))],
    "got10k": [got10k.numbers(np.array([0.3, 0.6, 0.8]))],
    "vot2018": _vot(),
    "vot2019": _vot(),
}


@pytest.mark.parametrize("benchmark", SCORED)
def test_every_number_of_a_tracking_benchmark_has_a_column(benchmark):
    known = {measure.key for measure in TRACKING}
    for numbers in SCORED[benchmark]:
        assert numbers.keys() <= known
        assert set(HEADLINE[benchmark]) <= numbers.keys()


def test_every_tracking_benchmark_has_a_label_and_a_headline():
    assert set(get_args(BenchmarkName)) == SCORED.keys()
    assert SCORED.keys() <= BENCHMARK_LABELS.keys() & HEADLINE.keys()
