"""Examples are chosen by rule and judged as the protocol judges."""

from __future__ import annotations

import dataclasses

import pytest

from distillery.errors import UserError
from distillery.paper import samples
from distillery.person_search.protocol import search_scores


def test_ranking_agrees_with_the_protocol_on_every_query(run):
    for benchmark, dataset in (("cuhk_sysu", "cuhk_sysu"), ("prw", "prw"), ("prw_mini", "prw")):
        galleries = samples.protocol(benchmark, samples.roots(run.data)[dataset])
        for index in (path for path in run.predictions if benchmark in path.parts):
            predictions = samples.search_predictions(index)
            best = search_scores(galleries, predictions).best_rank
            for query in range(len(galleries.queries)):
                places = [
                    place
                    for place, match in enumerate(samples.ranking(galleries, predictions, query, 10_000), 1)
                    if match.hit
                ]
                assert (places[0] if places else 0) == best[query]


def test_extremes_are_best_median_and_worst_with_names_breaking_ties():
    differences = {"e": 0.5, "b": 0.1, "a": 0.1, "d": -0.3, "c": 0.0}
    assert samples.extremes(differences) == [("best", "e"), ("median", "b"), ("worst", "d")]
    assert samples.extremes({"x": 0.1, "y": 0.1}) == [("best", "x"), ("worst", "y")]
    assert samples.extremes({"x": 0.1}) == [("best", "x")]


def test_spread_takes_first_and_last():
    assert samples.spread(range(10), 4) == [0, 3, 6, 9]
    assert samples.spread(range(3), 4) == [0, 1, 2]


def test_boxes_are_array_indices(run):
    video = samples.videos("otb100", samples.roots(run.data)["otb100"])[0]
    assert (samples.truth(video)[0] == video.truth[0] - [1, 1, 0, 0]).all()


def test_a_file_that_is_no_manifest(tmp_path):
    path = tmp_path / "otb100.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="manifest"):
        samples.roots([path])
    with pytest.raises(UserError, match="no manifest of otb100"):
        samples.require_root({}, "otb100")


def test_polygons_where_the_benchmark_has_them_and_absent_targets(run):
    roots = samples.roots(run.data)
    vot, otb, lasot = (samples.videos(name, roots[name])[0] for name in ("vot2019", "otb100", "lasot"))
    assert (samples.polygon(vot, 3).flatten() == vot.regions[3] - vot.first_pixel).all()
    assert samples.polygon(otb, 3) is None
    for frame in range(len(lasot)):
        assert samples.visible(lasot, frame) == (not lasot.absent[frame] and bool((lasot.truth[frame, 2:] > 0).all()))
    hidden = dataclasses.replace(otb, truth=otb.truth * [1, 1, 0, 1])
    assert not samples.visible(hidden, 0)


def test_only_the_part_of_trackingnet_with_boxes_is_shown(run):
    videos = samples.videos("trackingnet", samples.roots(run.data)["trackingnet"])
    assert len(videos) == 2
    assert all(len(video.frames) == len(video) == 6 for video in videos)
