"""Tables: full precision in the CSV, and the same cells in Markdown and LaTeX."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from scipy import stats

from distillery.errors import UserError
from distillery.paper.display import TABLES, shown
from distillery.paper.formats import latex, markdown
from distillery.paper.published import MARKS, PUBLISHED
from distillery.paper.records import read_metrics
from distillery.paper.tables import write_tables


def _csv(tables, name):
    return pd.read_csv(tables / f"{name}.csv")


def _markdown_cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in [lines[0], *lines[2:]]]


def _latex_cells(text):
    plain = {r"$\pm$": "±", "$-$": "\N{MINUS SIGN}", r"$\times$": "\N{MULTIPLICATION SIGN}", "--": "\N{EN DASH}"}
    plain |= {r"\%": "%", r"\_": "_"}
    rows = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    for mark, character in plain.items():
        rows = [row.replace(mark, character) for row in rows]
    return [row.split(" & ") for row in rows]


@pytest.mark.parametrize("name", list(TABLES))
def test_csv_markdown_and_latex_agree(tables, name):
    table = shown(name, _csv(tables, name))
    expected = [[column.head for column in table.columns], *map(list, table.rows)]
    assert _markdown_cells((tables / f"{name}.md").read_text(encoding="utf-8")) == expected
    assert _latex_cells((tables / f"{name}.tex").read_text(encoding="utf-8")) == expected
    assert len(expected) > 1


def test_means_and_intervals_of_every_row_against_scipy(run, tables):
    for name, measure, source in (("tracking", "auc", run.tracking), ("person_search", "map", run.search)):
        frame = _csv(tables, name).set_index(["model", "variant"])
        for key, (values, *_) in source.items():
            row = frame.loc[tuple(key.split("/"))]
            assert row[measure] == pytest.approx(sum(values) / len(values), abs=1e-15)
            assert row["seeds"] == len(values)
            if len(values) == 1:
                assert pd.isna(row[f"{measure}_low"])
                continue
            low, high = stats.t.interval(0.95, len(values) - 1, loc=row[measure], scale=stats.sem(values))
            assert (row[f"{measure}_low"], row[f"{measure}_high"]) == pytest.approx((low, high))


def test_printed_cells_by_hand(tables):
    rows = {row[0]: row for row in _markdown_cells((tables / "tracking.md").read_text(encoding="utf-8"))}
    head = rows["Method"]
    row = dict(zip(head, rows["SiamFC dim, TSsKD"], strict=True))
    # .631 .640 .629: mean .63333, s .0058595, half 4.3027 * s / sqrt(3) = .014556
    assert row["AUC"] == "0.633 ± 0.015"
    assert row["AUC publ."] == "0.573 (unverified)"
    assert row["Evidence"] == "unverified"
    assert row["Smaller by"] == "12.7\N{MULTIPLICATION SIGN}"  # 146000 / 11500
    assert dict(zip(head, rows["static box"], strict=True))["AUC"] == "0.351"


def test_unverified_values_are_never_printed_without_their_mark(tables):
    seen = 0
    for name in ("tracking", "person_search"):
        head, *rows = _markdown_cells((tables / f"{name}.md").read_text(encoding="utf-8"))
        for cells in (dict(zip(head, row, strict=True)) for row in rows):
            published = [cell for column, cell in cells.items() if "publ." in column and cell != "\N{EN DASH}"]
            if cells["Evidence"] == "unverified":
                seen += len(published)
                assert all(cell.endswith(" (unverified)") for cell in published)
    assert seen == 2  # AUC and precision of DSTfc
    assert all(entry.mark in MARKS and entry.source for entry in PUBLISHED)


def test_paired_differences(tables):
    frame = _csv(tables, "differences")
    row = frame[(frame.minuend == "siamfc/dim-tsskd") & (frame.question == "gain") & (frame.measure == "auc")].iloc[0]
    # .031 .025 .023: mean .026333, s .0041633, half .010342
    assert row.difference == pytest.approx(0.0263333, abs=1e-6)
    assert (row.high - row.low) / 2 == pytest.approx(0.0103423, abs=1e-6)
    assert row.verdict == "shown"
    small = frame[(frame.minuend == "oim/small-oim_table") & (frame.question == "gain") & (frame.measure == "map")]
    assert small.verdict.item() == "not shown"


def test_true_boxes_have_no_detection_scores(tables):
    rows = _markdown_cells((tables / "person_search.md").read_text(encoding="utf-8"))
    for row in rows[1:]:
        cells = dict(zip(rows[0], row, strict=True))
        assert (cells["det. AP"] == "\N{EN DASH}") == ("true boxes" in cells["Method"])


def test_galleries_and_speed(tables):
    galleries = _csv(tables, "galleries").set_index("variant")
    assert galleries.loc["large-oim", "map_6"] == pytest.approx(galleries.loc["large-oim", "map_12"] + 0.04)
    compute = _csv(tables, "compute").set_index("variant")
    assert compute.loc["dim-tsskd", "speedup"] == pytest.approx(12.4 / 4.1)
    assert compute.loc["small-oim", "size_ratio"] == pytest.approx(181 / 24)
    text = (tables / "compute.md").read_text(encoding="utf-8")
    assert "Measured on one CPU (Test CPU), 1 thread: batch 1, float32." in text


def test_special_characters_are_escaped(tables):
    frame = _csv(tables, "tracking")
    frame.loc[0, "label"] = r"50% of_#1 & {x} ~ ^ \ | <b>"
    text = latex(shown("tracking", frame))
    assert (
        r"50\% of\_\#1 \& \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} | \textless{}b\textgreater{}"
        in text
    )
    assert r"\\ \| &lt;b>" in markdown(shown("tracking", frame))
    assert not re.search(r"(?<!\\)[%#]", text.replace("{!}{%", ""))


def test_the_same_inputs_give_the_same_bytes(run, tables, tmp_path):
    write_tables(run.params, list(reversed(run.metrics)), run.sidecars, run.compute, tmp_path)
    for path in tables.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_missing_seed_is_counted_and_a_missing_paper_leaves_its_tables_empty(run, tmp_path):
    tracking = [path for path in run.metrics if "otb100" in path.parts and "dim-tsskd/seed2" not in path.as_posix()]
    write_tables(run.params, tracking, run.sidecars, run.compute, tmp_path)
    frame = _csv(tmp_path, "tracking").set_index("variant")
    assert frame.loc["dim-tsskd", "seeds"] == 2
    assert "no results" in (tmp_path / "person_search.md").read_text(encoding="utf-8")
    assert len(read_metrics(tracking).of("otb100", "siamfc/dim-tsskd")) == 2


def test_unlisted_variants_follow_the_listed_ones(run, tmp_path):
    other = tmp_path / "seed0.json"
    text = run.metrics[0].read_text(encoding="utf-8").replace('"model": "siamfc"', '"model": "siamrpn"')
    other.write_text(text, encoding="utf-8")
    write_tables(run.params, [*run.metrics, other], run.sidecars, run.compute, tmp_path / "tables")
    assert _csv(tmp_path / "tables", "tracking")["label"].iloc[-1] == "siamrpn/teacher"


def test_unknown_parameters_are_refused(run, tmp_path):
    with pytest.raises(UserError, match="did you mean `seeds`"):
        write_tables(run.params | {"seed": [0]}, run.metrics, run.sidecars, run.compute, tmp_path)
