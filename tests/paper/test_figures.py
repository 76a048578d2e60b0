"""Figures: every one is there, is the same bytes again, is small, and says how its examples were chosen."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from distillery.errors import UserError
from distillery.files import read_json, write_json
from distillery.paper import samples
from distillery.paper.features import read_features
from distillery.paper.figures import (
    FIGURES,
    ablations,
    compression,
    contact,
    curves,
    detection_and_search,
    expected_overlap,
    feature_space,
    gallery_size,
    gates,
    qualitative,
    radar,
    ranked_galleries,
    response_maps,
    selection,
    training,
    write_figures,
)
from distillery.paper.figures.style import faces, house_style, new_figure, render, show_image
from distillery.paper.logs import read_curves
from distillery.paper.maps import read_maps
from distillery.paper.measures import MINUS
from distillery.paper.records import read_metrics
from distillery.paper.searches import read_searches
from paper_profile import TRACKING

DESCRIPTION = ".//{http://purl.org/dc/elements/1.1/}description"


def _caption(path):
    return ElementTree.fromstring(path.read_bytes()).findtext(DESCRIPTION)


def _panels(figure):
    """Visible panels by title."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


@pytest.mark.parametrize("target", ["headline", "ablations"])
def test_every_figure_as_svg_and_png_with_its_caption(request, run, ablated, target):
    folder = request.getfixturevalue({"headline": "figures", "ablations": "ablation_figures"}[target])
    names = {"headline": run, "ablations": ablated}[target].job.figures
    assert sorted(path.stem for path in folder.glob("*.svg")) == sorted(names)
    for name in names:
        svg = folder / f"{name}.svg"
        assert len(_caption(svg)) > 80
        assert svg.stat().st_size < 1.5e6
        text = svg.read_text(encoding="utf-8")
        assert not re.search(r'href="(?!#|data:image/(?:jpeg|png);base64,)', text)
        assert "<dc:date>" not in text
        with Image.open(folder / f"{name}.png") as image:
            assert image.width >= 900
            assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
            # A figure that failed to draw is white.
            assert np.asarray(image.convert("L")).std() > 5


def test_figures_are_the_same_bytes_again(run, figures, tmp_path):
    job, results = run.job, read_metrics(reversed(run.metrics))
    root = samples.roots(run.data)["cuhk_sysu"]
    search, losses = job.person_search, read_curves(run.curves)
    files = samples.prediction_files(run.predictions)
    part = job.tracking
    with house_style():
        for name, (figure, caption) in {
            "success": curves.one_pass("success", part, results),
            "attributes": radar.attributes(part, results),
            "selection": selection.selection(read_searches(reversed(run.searches))),
            "training_siamfc": training.training("tracking", part, losses, "siamfc"),
            "training_oim": training.search_training(search, losses, ["oim"]),
            "detection_and_search": detection_and_search.detection_and_search(search, results),
            "compression": compression.compression(search, results),
            "feature_space": feature_space.feature_space(search, read_features(run.features)),
            "contact_sheet_person_search": contact.street_sheet("cuhk_sysu", root),
            "ranked_galleries": ranked_galleries.ranked_galleries(
                job.person_search, "cuhk_sysu", results, root, files, 0
            ),
        }.items():
            render(figure, FIGURES[name][0], caption).write(tmp_path, name)
            for suffix in ("svg", "png"):
                assert (tmp_path / f"{name}.{suffix}").read_bytes() == (figures / f"{name}.{suffix}").read_bytes()


def test_captions_state_the_rule_and_the_seed(figures):
    for name in ("qualitative_siamfc", "qualitative_siamrpn", "ranked_galleries", "ranked_galleries_prw"):
        assert "chosen by a rule" in _caption(figures / f"{name}.svg")
        assert "seed 0" in _caption(figures / f"{name}.svg")


def test_captions_say_what_is_not_shown(figures, ablation_figures):
    assert "they prove nothing" in _caption(figures / "response_maps.svg")
    assert "no intervals are drawn" in _caption(figures / "attributes.svg")
    assert "not tracking accuracy" in _caption(figures / "selection.svg")
    assert "held-out part" in _caption(ablation_figures / "ablations.svg")
    assert "not how well unseen people are told apart" in _caption(figures / "feature_space.svg")
    assert "does not prove the networks equal" in _caption(figures / "compression.svg")


def test_the_chosen_sequences_have_the_extreme_differences(run):
    results = read_metrics(run.metrics)
    files, root = samples.prediction_files(run.predictions), samples.roots(run.data)["otb100"]
    for family in ("siamfc", "siamrpn"):
        ours, other = (results.of("otb100", f"{family}/dim-{how}")[0].per_sequence for how in ("tsskd", "ground_truth"))
        differences = sorted(ours[name]["auc"] - other[name]["auc"] for name in ours)
        with house_style():
            figure, _ = qualitative.qualitative(run.job.tracking, family, "otb100", results, root, files, 0)
        titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
        printed = [float(title.rsplit(", ", 1)[1].replace("\N{MINUS SIGN}", "-")) for title in titles]
        expected = [differences[-1], differences[len(differences) // 2], differences[0]]
        assert printed == pytest.approx(expected, abs=5e-4)


def test_the_success_plots_draw_the_mean_over_seeds(run):
    results = read_metrics(run.metrics)
    with house_style():
        figure, _ = curves.one_pass("success", run.job.tracking, results)
    panels = _panels(figure)
    assert len(panels) == 6  # OTB-100, LaSOT, TrackingNet by SiamFC, SiamRPN
    for family, benchmark, name in (("siamfc", "otb100", "SiamFC, OTB-100"), ("siamrpn", "lasot", "SiamRPN, LaSOT")):
        axes = panels[name]
        drawn = {tuple(np.round(line.get_ydata(), 12)) for line in axes.lines}
        for key in (f"{family}/teacher", "baseline/ncc"):
            stack = [result.curves["success"] for result in results.of(benchmark, key)]
            assert tuple(np.round(np.mean(stack, axis=0), 12)) in drawn
        assert len(axes.lines) == sum(key.startswith((family, "baseline")) for key in TRACKING)
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        numbers = [float(text.split()[0]) for text in legend]
        assert numbers == sorted(numbers, reverse=True)


def test_a_curve_with_the_servers_thresholds_ends_where_the_others_do(run):
    results = read_metrics(run.metrics)
    with house_style():
        figure, _ = curves.one_pass("precision", run.job.tracking, results)
    ends = {name: axes.lines[0].get_xdata() for name, axes in _panels(figure).items()}
    assert len(ends["SiamFC, OTB-100"]) == 51
    assert len(ends["SiamFC, TrackingNet (held-out part)"]) == 21
    assert {steps[-1] for steps in ends.values()} == {50.0}


def test_the_expected_overlap_is_ranked_and_its_interval_shaded(run):
    results = read_metrics(run.metrics)
    with house_style():
        figure, _ = expected_overlap.expected_overlap(run.job.tracking, results)
    ranking, plot = figure.axes[:2]
    names = [text.get_text() for text in ranking.get_yticklabels()]
    numbers = [float(name.partition(" ± ")[0].split()[-1]) for name in names]
    assert numbers == sorted(numbers)  # from bottom to top
    assert names[-1].startswith("teacher  0.367")
    shaded = [patch for patch in plot.patches if patch.get_alpha()]
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in shaded] == [(3, 6)]
    assert len(plot.lines) == 9


def test_different_intervals_of_the_expected_overlap_are_refused(run, tmp_path):
    broken = tmp_path / "seed0.json"
    source = next(path for path in run.metrics if "vot2019" in path.parts)
    write_json(broken, read_json(source) | {"variant": "other", "interval": {"low": 2, "high": 6}})
    results = read_metrics([*run.metrics, broken])
    with house_style(), pytest.raises(UserError, match="2 to 6, 3 to 6"):
        expected_overlap.expected_overlap(run.job.tracking, results)


def test_the_radar_has_a_spoke_an_attribute_and_the_first_students_runs(run):
    results = read_metrics(run.metrics)
    with house_style():
        figure, _ = radar.attributes(run.job.tracking, results)
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert set(panels) == {"SiamFC, OTB-100", "SiamRPN, OTB-100", "SiamFC, LaSOT", "SiamRPN, LaSOT"}
    axes = panels["SiamFC, OTB-100"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["BC", "OCC", "OPR", "SV"]
    assert len(axes.lines) == 4  # teacher, dim by ground truth, TSKD, TSsKD
    values = axes.lines[3].get_ydata()
    assert values == pytest.approx([0.61333, 0.63333, 0.60333, 0.62333, 0.61333], abs=1e-5)


def test_sets_without_attributes_leave_a_figure_that_says_so(run, tmp_path):
    plain = tmp_path / "seed0.json"
    write_json(plain, read_json(next(path for path in run.metrics if "otb100" in path.parts)) | {"by_attribute": {}})
    with house_style():
        figure, caption = radar.attributes(run.job.tracking, read_metrics([plain]))
        render(figure, "title", caption).write(tmp_path, "attributes")
    assert "3 attributes or more" in _caption(tmp_path / "attributes.svg")


def test_ablations_draw_means_seeds_and_the_lines_they_are_read_against(ablated):
    results = read_metrics(ablated.metrics)
    with house_style():
        figure, _ = ablations.ablations(ablated.job.tracking, results)
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    place = names.index("dim, TS alone")
    points = [line.get_xdata() for line in axes.lines if set(line.get_ydata()) == {place} and line.get_marker() == "."]
    assert sorted(points[0]) == pytest.approx([0.612, 0.622, 0.630])
    teacher = np.mean(TRACKING["siamfc/teacher"][0])
    assert any(np.allclose(np.asarray(line.get_xdata(), float), teacher) for line in axes.lines)
    truth = np.mean(TRACKING["siamfc/dim-ground_truth"][0])
    segments = [segment for group in axes.collections for segment in group.get_segments() if len(segment)]
    assert any(np.allclose(segment[:, 0], truth) and len(segment) == 2 for segment in segments)


def test_gates_are_those_of_the_runs_with_sharing(ablated):
    losses = read_curves(ablated.curves)
    with house_style():
        figure, _ = gates.gates(ablated.job.tracking, losses)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [text.split("  ")[1] for text in legend] == ["dim, TSsKD", "dim, TSsKD, own gate", "intelligent, TSsKD"]
    with house_style(), pytest.raises(UserError, match="hold a gate"):
        gates.gates(ablated.job.tracking, {})


def test_the_selection_draws_every_child_the_budget_and_the_teacher(run):
    with house_style():
        figure, _ = selection.selection(read_searches(run.searches))
    rewards, sizes = figure.axes
    points = rewards.collections[0].get_offsets()
    assert points.tolist() == [[0, -0.4], [0, 0.66], [1, 0.75]]
    means = rewards.lines[0].get_xydata()
    assert means == pytest.approx(np.array([[0, 0.13], [1, 1.01 / 3]]))
    trained = np.asarray(sizes.collections[0].get_offsets())  # the teacher has 20 * 7300 parameters
    assert trained == pytest.approx(np.array([[146 / 11, 0.40], [20, 0.45]]))
    assert {tuple(line.get_xdata()) for line in sizes.lines} >= {(13, 13)}
    assert {tuple(line.get_ydata()) for line in sizes.lines} >= {(0.6, 0.6)}


def test_a_terms_panel_holds_the_networks_that_have_it(run):
    with house_style():
        figure, _ = training.training("tracking", run.job.tracking, read_curves(run.curves), "siamfc")
    lines = {title: len(axes.lines) for title, axes in _panels(figure).items()}
    assert lines == {
        "total loss": 7, "logistic": 3, "teacher soft": 4, "target response": 4, "sharing": 2, "gate": 2,
    }  # fmt: skip


def test_every_variant_of_a_panel_has_a_face_of_its_own(run):
    for part in (run.job.tracking, run.job.person_search):
        for family in part.families:
            mine = [v for v in part.variants if v.model == family or v.role == "baseline"]
            look = faces(mine)
            assert len({(face.colour, str(face.dash)) for face in look.values()}) == len(mine)
    look = faces(run.job.person_search.variants)
    assert len({(face.colour, str(face.dash)) for face in look.values()}) == len(look)  # all share panels
    assert look["oim/large-oim"].colour == look["oim/large-oim_table"].colour != look["oim/small-oim"].colour
    assert look["oim/large-oim_table"].marker == look["qeeps/large-qeeps_table"].marker


def test_polygons_and_absent_targets_on_the_contact_sheet(run):
    roots = samples.roots(run.data)
    with house_style():
        figure, caption = contact.tracking_sheet({name: roots[name] for name in run.job.tracking.benchmarks})
    shapes = {len(patch.get_xy()) for axes in figure.axes for patch in axes.patches if hasattr(patch, "get_xy")}
    assert 5 in shapes  # closed polygons of four corners; rectangles have one
    assert "TrackingNet (held-out part) 2 of 2" in caption
    assert len(figure.axes) == 8 * 6


def test_response_maps_are_the_networks_own_and_no_more_than_eight(run):
    maps = read_maps(run.maps)
    many = dataclasses.replace(
        maps,
        networks=tuple(f"siamfc/n{k}" for k in range(10)),
        score=np.repeat(maps.score[:1], 10, axis=0),
        target=np.repeat(maps.target[:1], 10, axis=0),
    )
    with house_style():
        figure, caption = response_maps.response_maps(run.job.tracking, maps)
        _, cut = response_maps.response_maps(run.job.tracking, many)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(drawn) == 2 + 2 * 2 * 2  # a region and two maps of two networks, for each of two regions
    assert any(np.array_equal(array, maps.target[1, 1]) for array in drawn)
    assert [axes.get_title(loc="left") for axes in figure.axes[1:3]] == ["SiamFC teacher", "SiamFC dim,\nTSKD"]
    assert "first 8" in cut
    assert "first" not in caption.rpartition("prove nothing")[2]


def test_photographs_in_svg_are_jpeg_and_transparent_images_stay(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    clear = np.dstack([pixels, np.full((40, 60), 90, np.uint8)])
    with house_style():
        figure = new_figure(2, 1)
        for axes, image in zip(figure.subplots(1, 2), (pixels, clear), strict=True):
            show_image(axes, image)
        render(figure, "title", "caption").write(tmp_path, "photo")
    found = re.findall(r'href="data:image/(\w+);base64,\s*([^"]+)"', (tmp_path / "photo.svg").read_text())
    assert sorted(kind for kind, _ in found) == ["jpeg", "png"]
    decoded = next(Image.open(io.BytesIO(base64.b64decode(data))) for kind, data in found if kind == "jpeg")
    assert decoded.size == (60, 40)  # the photograph's own pixels, not the print's


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"data": []}, "no manifest of otb100"),
        ({"predictions": []}, "no comparison of"),
        ({"curve_files": []}, "no training metrics of oim"),
        ({"features": None}, "no features were given"),
        ({"searches": []}, "no search for students"),
        ({"maps": None}, "no response maps"),
    ],
)
def test_absent_inputs_are_named(run, tmp_path, change, problem):
    arguments = {
        "metrics": run.metrics,
        "curve_files": run.curves,
        "compute": run.compute,
        "data": run.data,
        "predictions": run.predictions,
        "searches": run.searches,
        "maps": run.maps,
        "features": run.features,
    } | change
    wanted = {
        "data": ["contact_sheet_tracking"],
        "predictions": ["ranked_galleries"],
        "curve_files": ["training_oim"],
        "features": ["feature_space"],
        "searches": ["selection"],
        "maps": ["response_maps"],
    }
    params = run.params | {"figures": [name for key in change for name in wanted[key]]}
    with pytest.raises(UserError, match=problem):
        write_figures(params, **arguments, out_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_terms_of_a_job_are_drawn_for_their_own_student_and_set(run):
    losses = read_curves(run.curves)
    with house_style():
        figure, _ = training.search_training(run.job.person_search, losses, ["oim"])
    blocks = [[axes for axes in block.axes if axes.get_visible()] for block in figure.subfigs]
    assert len(blocks) == 2
    for block in blocks:
        drawn = {axes.get_title(loc="left"): len(axes.lines) for axes in block}
        assert "total loss" not in drawn  # a job's total is nobody's own
        assert (drawn["identity"], drawn["hint"]) == (8, 4)  # hints reach the students of a detection teacher
    first = {origin: curve for origin, curve in losses.items() if origin.trained_on != "prw"}
    with house_style():
        alone, _ = training.search_training(run.job.person_search, first, ["detector", "reid"])
    assert len(alone.subfigs) == 1
    lines = {axes.get_title(loc="left"): len(axes.lines) for axes in alone.subfigs[0].axes if axes.get_visible()}
    assert (lines["identity"], lines["rpn score"]) == (1, 1)


def test_detection_against_search_has_a_mark_a_seed(run):
    results = read_metrics(run.metrics)
    with house_style():
        figure, _ = detection_and_search.detection_and_search(run.job.person_search, results)
    panels = _panels(figure)
    assert set(panels) == {"CUHK-SYSU", "PRW"}  # PRW-mini's images are PRW's
    axes = panels["CUHK-SYSU"]
    seeds = [line for line in axes.lines if line.get_markersize() == 2.8]
    assert len(seeds) == 10  # eight OIM and two QEEPS networks
    ap, search = (results.values("cuhk_sysu", "oim/large-oim", key) for key in ("ap", "map"))
    expected = [[100 * ap[seed], 100 * search[seed]] for seed in (0, 1, 2)]
    assert any(np.allclose(line.get_xydata(), expected) for line in seeds)
    means = [line.get_xydata()[0] for line in axes.lines if line.get_markersize() == 7]
    assert any(np.allclose(mean, np.mean(expected, axis=0)) for mean in means)
    teacher = results.estimate("cuhk_sysu", "detector/large-detector", "ap").mean
    assert any(np.allclose(line.get_xdata(), 100 * teacher) for line in axes.lines)


def test_the_gap_of_a_small_network_is_that_of_equal_seeds(run):
    results = read_metrics(run.metrics)
    with house_style():
        figure, _ = compression.compression(run.job.person_search, results)
    gaps = figure.axes[1]
    labels = [text.get_text() for text in gaps.get_yticklabels()]
    # Small minus large with the table: -.182 -.123 -.139
    assert f"ID table\n{MINUS}14.8" in labels
    dots = [sorted(line.get_xdata()) for line in gaps.lines if line.get_markersize() == 2.4]
    assert any(np.allclose(values, [-18.2, -13.9, -12.3]) for values in dots)


def test_variations_of_person_search_stand_beside_what_they_vary(ablated):
    results = read_metrics(ablated.metrics)
    with house_style():
        figure, _ = ablations.search_ablations(ablated.job.person_search, results)
    searching, detecting = figure.axes
    assert (searching.get_xlabel(), detecting.get_xlabel()) == ("mAP", "det. AP")
    names = [text.get_text() for text in searching.get_yticklabels()]
    assert names[-1] == "small"  # the large network was not varied
    place = names.index("small + ID table (random rows)")
    points = [
        line.get_xdata() for line in searching.lines if set(line.get_ydata()) == {place} and line.get_marker() == "."
    ]
    assert sorted(points[0]) == pytest.approx([13.1, 15.0, 16.4])


def test_a_network_that_skipped_the_largest_gallery_says_where_it_was_run(run):
    with house_style():
        figure, _ = gallery_size.over_gallery(run.job.person_search, read_metrics(run.metrics))
    (axes,) = figure.axes  # PRW has a single gallery
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [text.split("  ")[1] for text in legend if "images" in text] == [
        "QEEPS large + ID table, 6 images", "QEEPS large, 6 images",
    ]  # fmt: skip


def test_cameras_have_a_row_each(run):
    with house_style():
        figure, caption = contact.camera_sheet("prw", samples.roots(run.data)["prw"])
    assert len(figure.axes) == 6 * 4
    for row in range(6):
        shown = {axes.get_title(loc="left")[:2] for axes in figure.axes[4 * row : 4 * row + 4]} - {""}
        assert shown == {f"c{row + 1}"}
    assert "of 240 x 180 px" in caption


def test_principal_axes_against_the_covariance():
    rows = np.random.default_rng(3).normal(size=(9, 5)).astype(np.float32) * [5, 3, 1, 1, 1]
    axes, share = feature_space.principal_axes(rows)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    assert share == pytest.approx(values[::-1][:2] / values.sum(), rel=1e-5)
    for ours, theirs in zip(axes, vectors.T[::-1], strict=False):
        assert abs(ours @ theirs) == pytest.approx(1, abs=1e-6)
        assert ours[np.abs(ours).argmax()] > 0
    # Two rows have one axis; the other is no direction at all.
    flat, share = feature_space.principal_axes(rows[:2])
    assert share == pytest.approx([1, 0], abs=1e-6)
    assert np.isfinite(flat).all()


def test_several_processes_draw_the_same_bytes_and_pass_faults_on(run, figures, tmp_path):
    names = ["map_over_gallery", "selection", "training_teachers"]
    files = [run.metrics, run.curves, run.compute, run.data, run.predictions]
    write_figures(run.params | {"figures": names}, *files, tmp_path / "two", searches=run.searches, workers=2)
    for name in names:
        for suffix in ("svg", "png"):
            file = f"{name}.{suffix}"
            assert (tmp_path / "two" / file).read_bytes() == (figures / file).read_bytes()
    with pytest.raises(UserError, match="no response maps"):
        write_figures(
            run.params | {"figures": ["map_over_gallery", "response_maps"]}, *files, tmp_path / "none", workers=2
        )
    assert not (tmp_path / "none").exists()


def test_a_curve_of_another_length_is_refused(run, tmp_path):
    broken = tmp_path / "seed0.json"
    value = read_json(next(path for path in run.metrics if "otb100" in path.parts))
    write_json(broken, value | {"curves": {"success": value["curves"]["success"][1:]}})
    results = read_metrics([broken])
    with house_style(), pytest.raises(UserError, match="21 or 101 points"):
        curves.one_pass("success", run.job.tracking, results)
