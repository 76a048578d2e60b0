"""Figures: every one is there, is the same bytes again, is small, and says how its examples were chosen."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from distillery.errors import UserError
from distillery.paper import samples
from distillery.paper.figures import TITLES, contact, curves, examples, training, write_figures
from distillery.paper.figures.style import faces, house_style, new_figure, save, show_image
from distillery.paper.logs import read_curves
from distillery.paper.records import read_metrics

DESCRIPTION = ".//{http://purl.org/dc/elements/1.1/}description"


def _caption(path):
    return ElementTree.fromstring(path.read_bytes()).findtext(DESCRIPTION)


@pytest.mark.parametrize("name", list(TITLES))
def test_every_figure_as_svg_and_png_with_its_caption(figures, name):
    svg = figures / f"{name}.svg"
    assert len(_caption(svg)) > 80
    assert svg.stat().st_size < 1.5e6
    text = svg.read_text(encoding="utf-8")
    assert not re.search(r'href="(?!#|data:image/(?:jpeg|png);base64,)', text)
    assert "<dc:date>" not in text
    with Image.open(figures / f"{name}.png") as image:
        assert image.width >= 900
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        # A figure that failed to draw is white.
        assert np.asarray(image.convert("L")).std() > 5


def test_figures_are_the_same_bytes_again(run, figures, tmp_path):
    job, results = run.job, read_metrics(reversed(run.metrics))
    root = samples.roots(run.data)["cuhk_sysu"]
    files = samples.prediction_files(run.predictions)
    with house_style():
        for name, (figure, caption) in {
            "success": curves.one_pass("success", job.tracking, results),
            "training_tracking": training.training("tracking", job.tracking, read_curves(run.curves)),
            "contact_sheet_person_search": contact.street_sheet(root),
            "ranked_galleries": examples.ranked_galleries(job.person_search, "cuhk_sysu", results, root, files, 0),
        }.items():
            save(figure, tmp_path, name, TITLES[name], caption)
            for suffix in ("svg", "png"):
                assert (tmp_path / f"{name}.{suffix}").read_bytes() == (figures / f"{name}.{suffix}").read_bytes()


def test_captions_state_the_rule_and_the_seed(figures):
    for name in ("qualitative_tracking", "ranked_galleries"):
        assert "chosen by a rule" in _caption(figures / f"{name}.svg")
        assert "seed 0" in _caption(figures / f"{name}.svg")


def test_the_chosen_sequences_have_the_extreme_differences(run):
    results = read_metrics(run.metrics)
    files, root = samples.prediction_files(run.predictions), samples.roots(run.data)["otb100"]
    ours, other = (results.of("otb100", key)[0].per_sequence for key in ("siamfc/dim-tsskd", "siamfc/dim-ground_truth"))
    differences = sorted(ours[name]["auc"] - other[name]["auc"] for name in ours)
    with house_style():
        figure, _ = examples.qualitative(run.job.tracking, "otb100", results, root, files, 0)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    printed = [float(title.rsplit(", ", 1)[1].replace("\N{MINUS SIGN}", "-")) for title in titles]
    assert printed == pytest.approx([differences[-1], differences[len(differences) // 2], differences[0]], abs=5e-4)


def test_the_success_plot_draws_the_mean_over_seeds(run):
    results = read_metrics(run.metrics)
    with house_style():
        figure, _ = curves.one_pass("success", run.job.tracking, results)
    drawn = {tuple(np.round(line.get_ydata(), 12)) for line in figure.axes[0].lines}
    for key in ("siamfc/teacher", "baseline/ncc"):
        stack = [result.curves["success"] for result in results.of("otb100", key)]
        assert tuple(np.round(np.mean(stack, axis=0), 12)) in drawn
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    numbers = [float(text.split()[0]) for text in legend]
    assert numbers == sorted(numbers, reverse=True)


def test_a_terms_panel_holds_the_networks_that_have_it(run):
    with house_style():
        figure, _ = training.training("tracking", run.job.tracking, read_curves(run.curves))
    lines = {axes.get_title(loc="left"): len(axes.lines) for axes in figure.axes if axes.get_visible()}
    assert lines == {"total loss": 4, "logistic": 2, "teacher soft": 2, "sharing": 2, "target response": 1}


def test_every_variant_has_a_face_of_its_own(run):
    for part in (run.job.tracking, run.job.person_search):
        look = faces(part.variants)
        assert len({(face.colour, str(face.dash)) for face in look.values()}) == len(part.variants)
    look = faces(run.job.person_search.variants)
    assert look["oim/large-oim"].colour == look["oim/large-oim_table"].colour != look["oim/small-oim"].colour


def test_photographs_in_svg_are_jpeg_and_transparent_images_stay(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    clear = np.dstack([pixels, np.full((40, 60), 90, np.uint8)])
    with house_style():
        figure = new_figure(2, 1)
        for axes, image in zip(figure.subplots(1, 2), (pixels, clear), strict=True):
            show_image(axes, image)
        save(figure, tmp_path, "photo", "title", "caption")
    found = re.findall(r'href="data:image/(\w+);base64,\s*([^"]+)"', (tmp_path / "photo.svg").read_text())
    assert sorted(kind for kind, _ in found) == ["jpeg", "png"]
    decoded = next(Image.open(io.BytesIO(base64.b64decode(data))) for kind, data in found if kind == "jpeg")
    assert decoded.size == (60, 40)  # the photograph's own pixels, not the print's


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"data": []}, "no manifest of otb100"),
        ({"predictions": []}, "no comparison of otb100"),
        ({"curve_files": []}, "no training metrics of tracking"),
    ],
)
def test_absent_inputs_are_named(run, tmp_path, change, problem):
    arguments = {
        "metrics": run.metrics,
        "curve_files": run.curves,
        "compute": run.compute,
        "data": run.data,
        "predictions": run.predictions,
    } | change
    with pytest.raises(UserError, match=problem):
        write_figures(run.params, **arguments, out_dir=tmp_path)


def test_a_curve_of_another_length_is_refused(run, tmp_path):
    broken = tmp_path / "seed0.json"
    broken.write_text(re.sub(r'("success": \[\s*)[-\d.e]+,', r"\1", run.metrics[0].read_text(encoding="utf-8")))
    results = read_metrics([broken])
    with pytest.raises(UserError, match="21 points"):
        curves.one_pass("success", run.job.tracking, results)
