"""Tables: full precision in the CSV, and the same cells in Markdown and LaTeX."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from scipy import stats

from distillery.config.paper import from_profile
from distillery.errors import UserError
from distillery.files import read_json, write_json
from distillery.paper.formats import latex, markdown
from distillery.paper.measures import MEASURES, MINUS, NONE, TIMES
from distillery.paper.published import MARKS, PUBLISHED, published_values
from distillery.paper.tables import TABLES, write_tables
from paper_profile import ABLATIONS, HARDER, SEARCH, SEARCH_ABLATIONS, SEARCH_HARDER, TRACKING

PLAIN = {
    r"$\pm$": "±", r"$-$": MINUS, r"$\times$": TIMES, "--": NONE, r"$\rightarrow$": "→", r"\%": "%", r"\_": "_",
}  # fmt: skip


def _csv(tables, name):
    return pd.read_csv(tables / f"{name}.csv")


def _blocks(text):
    """Cells of every Markdown table in a text."""
    blocks, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            blocks.append([rows[0], *rows[2:]])
            rows = []
    return blocks


def _markdown_rows(tables, name, key):
    """Rows as mappings, by the cell of a column, of all blocks that have it."""
    found = {}
    for head, *rows in _blocks((tables / f"{name}.md").read_text(encoding="utf-8")):
        found |= {row[head.index(key)]: dict(zip(head, row, strict=True)) for row in rows if key in head}
    return found


def _latex_cells(text):
    rows = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    for mark, character in PLAIN.items():
        rows = [row.replace(mark, character) for row in rows if r"\multicolumn" not in row]
    return [row.split(" & ") for row in rows]


@pytest.mark.parametrize("target", ["headline", "ablations"])
def test_csv_markdown_and_latex_agree(request, profile, target):
    tables = request.getfixturevalue({"headline": "tables", "ablations": "ablation_tables"}[target])
    names = from_profile(profile, target=target).tables
    assert sorted(path.stem for path in tables.glob("*.csv")) == sorted(names)
    for name in names:
        table = TABLES[name].shown(name, _csv(tables, name))
        assert sum(len(body.rows) for body in table.bodies) > 0, name
        blocks = _blocks((tables / f"{name}.md").read_text(encoding="utf-8"))
        heads = [[f"{column.group} {column.head}".strip() for column in body.columns] for body in table.bodies]
        assert [block[0] for block in blocks] == heads
        rows = [list(row) for body in table.bodies for row in body.rows]
        assert [row for block in blocks for row in block[1:]] == rows
        plain = [[column.head for column in body.columns] for body in table.bodies]
        expected = [
            line for head, body in zip(plain, table.bodies, strict=True) for line in [head, *map(list, body.rows)]
        ]
        assert _latex_cells((tables / f"{name}.tex").read_text(encoding="utf-8")) == expected


def test_means_and_intervals_of_every_row_against_scipy(tables):
    frame = _csv(tables, "benchmarks").set_index(["benchmark", "model", "variant"])
    for benchmark, lower in HARDER.items():
        measure = "eao" if benchmark == "vot2019" else "auc"
        for key, (values, *_) in TRACKING.items():
            _same(frame.loc[benchmark, *key.split("/")], measure, [value - lower for value in values])
    frame = _csv(tables, "person_search").set_index(["benchmark", "model", "variant"])
    for key, (values, *_) in SEARCH.items():
        for benchmark, lower in SEARCH_HARDER.items():
            if not key.startswith("detector") and (benchmark, *key.split("/")) in frame.index:
                _same(frame.loc[benchmark, *key.split("/")], "map", [value - lower for value in values])


def _same(row, name, values):
    assert row[name] == pytest.approx(sum(values) / len(values))
    if len(values) == 1:
        assert pd.isna(row[f"{name}_low"])
        assert pd.isna(row[f"{name}_high"])
        return
    low, high = stats.t.interval(0.95, len(values) - 1, loc=row[name], scale=stats.sem(values))
    assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((low, high))


def test_the_summary_has_a_row_a_method_and_the_headline_measures_of_each_benchmark(tables):
    rows = _markdown_rows(tables, "tracking", "Method")
    assert len(rows) == len(TRACKING)
    row = rows["SiamFC dim, TSsKD"]
    # .631 .640 .629: mean .63333, s .0058595, half 4.3027 * s / sqrt(3) = .014556
    assert row["OTB-100 AUC"] == "0.633 ± 0.015"
    assert row["VOT2019 EAO"] == "0.333 ± 0.015"
    assert row["VOT2019 R"] == "1.067 ± 0.015"
    assert row["LaSOT NP"] == "0.533 ± 0.015"
    assert row["Smaller by"] == f"12.7{TIMES}"  # 146000 / 11500
    assert rows["static box"]["OTB-100 AUC"] == "0.351"
    assert list(row) == [
        "Method", "Seeds", "Smaller by", "OTB-100 AUC", "OTB-100 P (20 px)", "VOT2019 EAO", "VOT2019 A", "VOT2019 R",
        "LaSOT AUC", "LaSOT NP", "TrackingNet (held-out part) success", "TrackingNet (held-out part) P (server)",
        "TrackingNet (test, server) success",
    ]  # fmt: skip


def test_answers_of_servers_are_cited(run, tables, tmp_path):
    """By seed and hash; a single answer does not make the row one of a single seed."""
    head = {"benchmark": "trackingnet_test", "model": "siamfc", "variant": "teacher", "seed": 2, "protocol": "server"}
    said = {"numbers": {"auc": 0.5713}, "inputs": {"answer": "ab" * 32, "submission": "cd" * 32}}
    write_json(tmp_path / "seed2.json", head | said)
    write_tables(
        run.params, [*run.metrics, tmp_path / "seed2.json"], run.sidecars, run.compute, tmp_path, searches=run.searches
    )
    text = (tmp_path / "tracking.md").read_text(encoding="utf-8")
    cited = "TrackingNet (test, server): answers of the server by SHA-256, SiamFC teacher (seed 2: abababababab)."
    assert cited in text and "answers of the server" not in (tables / "tracking.md").read_text(encoding="utf-8")
    assert f"seed 2: {'ab' * 32}" in (tmp_path / "tracking.csv").read_text(encoding="utf-8")
    assert _markdown_rows(tmp_path, "tracking", "Method")["SiamFC teacher"]["Seeds"] == "3"


def test_the_test_split_of_trackingnet_awaits_its_server(run, tables, tmp_path):
    rows = _markdown_rows(tables, "tracking", "Method")
    cells = {name: row["TrackingNet (test, server) success"] for name, row in rows.items()}
    assert cells.pop("static box") == cells.pop("NCC") == NONE
    assert set(cells.values()) == {"awaiting server"}
    answer = tmp_path / "seed0.json"
    head = {"benchmark": "trackingnet_test", "model": "siamfc", "variant": "teacher", "seed": 0, "protocol": "server"}
    numbers = {"auc": 0.5713, "precision": 0.5, "normalized_precision": 0.6, "coverage": 0.987}
    write_json(answer, head | {"numbers": numbers, "curves": {}, "counts": {"sequences": None}})
    write_tables(run.params, [*run.metrics, answer], run.sidecars, run.compute, tmp_path, searches=run.searches)
    rows = _markdown_rows(tmp_path, "tracking", "Method")
    assert rows["SiamFC teacher"]["TrackingNet (test, server) success"] == "0.571"
    assert rows["SiamFC dim, TSKD"]["TrackingNet (test, server) success"] == "awaiting server"
    # All that the server said; a widely copied value of SiamFC stands beside it.
    blocks = _blocks((tmp_path / "benchmarks.md").read_text(encoding="utf-8"))
    held_out, (columns, *answers) = [block for block in blocks if "coverage" in block[0]]
    assert len(held_out) > 2
    (row,) = (dict(zip(columns, answer, strict=True)) for answer in answers)
    assert [row[name] for name in ("success", "P (server)", "NP (server)", "coverage")] == [
        "0.571", "0.500", "0.600", "0.987",
    ]  # fmt: skip
    assert row["NP (server) publ."] == "0.663 (unverified)"
    assert row["Method"] == "SiamFC teacher"


def test_unverified_values_are_never_printed_without_their_mark(tables):
    seen = 0
    for name in ("benchmarks", "person_search"):
        for head, *rows in _blocks((tables / f"{name}.md").read_text(encoding="utf-8")):
            for cells in (dict(zip(head, row, strict=True)) for row in rows):
                published = [cell for column, cell in cells.items() if "publ." in column and cell != NONE]
                assert not published or cells["Evidence"] in MARKS
                if cells.get("Evidence") == "unverified":
                    seen += len(published)
                    assert all(cell.endswith(" (unverified)") for cell in published)
    # OTB-100, VOT2019 and LaSOT of both dim students (2, 3, 2 measures), LaSOT of SiamFC (3), PRW of OIM (2).
    assert seen == 2 * (2 + 3 + 2) + 3 + 2


def test_published_values_have_mark_source_and_a_measure():
    for entry in PUBLISHED:
        assert entry.mark in MARKS
        assert entry.source
        assert entry.values
        assert set(entry.values) <= set(MEASURES) | {"bytes", "ratio", "fps", "speedup"}
        assert all(0 < value <= 1 for key, value in entry.values.items() if key in MEASURES)
    recalled = [entry for entry in PUBLISHED if entry.name in ("DSTfc", "DSTrpn") and entry.benchmark]
    assert recalled
    assert {entry.mark for entry in recalled} == {"unverified"}
    big = published_values("vot2018", "siamrpn/teacher")
    assert (big.values, big.mark) == ({"eao": 0.383, "accuracy": 0.59, "robustness": 0.28}, "found")
    assert published_values(None, "siamrpn/teacher").values["bytes"] == 361_770_000
    assert published_values(None, "siamrpn/intelligent-tsskd").values["bytes"] == 90_530_000


def test_paired_differences(tables):
    frame = _csv(tables, "differences")
    chosen = frame[(frame.minuend == "siamfc/dim-tsskd") & (frame.subtrahend == "siamfc/dim-ground_truth")]
    row = chosen[(chosen.measure == "auc") & (chosen.benchmark == "otb100")].iloc[0]
    # .031 .025 .023: mean .026333, s .0041633, half .010342
    assert row.difference == pytest.approx(0.0263333, abs=1e-6)
    assert (row.difference_high - row.difference_low) / 2 == pytest.approx(0.0103423, abs=1e-6)
    assert row.verdict == "better"
    # Fewer failures are better, so the same numbers on VOT show the gain with the other sign.
    failures = chosen[chosen.measure == "robustness"].iloc[0]
    assert failures.difference == pytest.approx(-0.0263333, abs=1e-6)
    assert failures.verdict == "better"
    small = frame[(frame.subtrahend == "oim/small-oim") & (frame.measure == "map") & (frame.benchmark == "cuhk_sysu")]
    assert small.set_index("minuend").verdict["oim/small-oim_table"] == "open"
    # .038 .035 .039 more
    assert small.set_index("minuend").verdict["oim/small-oim_detector"] == "better"
    assert small.set_index("minuend").difference["oim/small-oim_detector"] == pytest.approx(0.112 / 3)


def test_a_student_near_its_teacher_is_equivalent_within_the_declared_margin(tables):
    frame = _csv(tables, "differences")
    near = frame[(frame.minuend == "siamfc/intelligent-tskd") & (frame.question == "gap")].set_index(
        ["benchmark", "measure"]
    )
    # -.003 -.004 -.004: mean -.00367, half .00143; within .02, though below 0
    assert near.loc[("otb100", "auc"), "verdict"] == "equivalent"
    assert near.loc[("otb100", "auc"), "margin"] == 0.02
    assert near.loc[("vot2019", "eao"), "verdict"] == "worse"  # no margin is declared for EAO
    assert pd.isna(near.loc[("vot2019", "eao"), "margin"])


def test_every_gap_and_gain_is_printed_once_with_its_verdict(run, tables):
    blocks = _blocks((tables / "differences.md").read_text(encoding="utf-8"))
    frame = _csv(tables, "differences")
    own = frame[(frame.paper == "tracking") | frame.measure.isin(("map", "ap", "map_true"))]
    groups = own.assign(where=own.benchmark.where(own.paper == "person_search", ""))
    asked = groups.drop_duplicates(["paper", "where", "minuend", "subtrahend"])
    assert sum(len(block) - 1 for block in blocks) == len(asked)
    assert len(asked[asked.paper == "tracking"]) == len(run.job.tracking.comparisons)
    assert blocks[0][0][2:5] == ["OTB-100 AUC", "VOT2019 EAO", "LaSOT AUC"]
    printed = {row[0]: row[2] for row in blocks[0][1:]}
    # .031 .025 .023 as above
    assert printed[f"dim, TSsKD {MINUS} dim, ground truth"] == "+0.026 ± 0.010 (better)"


def test_ablations(ablation_tables):
    frame = _csv(ablation_tables, "ablations").set_index(["benchmark", "model", "variant"])
    row = frame.loc["otb100", "siamfc", "dim-soft"]
    # minus TSKD: -.008 -.004 -.009 (mean -.007, half .00657); minus ground truth: .012 .015 .016
    assert (row["effect"], row["effect_verdict"]) == (pytest.approx(-0.007), "worse")
    assert (row["gain"], row["gain_verdict"]) == (pytest.approx(0.0433 / 3, abs=1e-4), "better")
    assert row["changes"] == "lambda 0.1 → 0, omega 100 → 0"
    shared = frame.loc["otb100", "siamfc", "dim-tsskd"]
    assert 0 < shared["gate"] < 2
    assert pd.isna(frame.loc["otb100", "siamfc", "dim-tskd"]["gate"])
    assert ("otb100", "baseline", "ncc") not in frame.index
    assert set(ABLATIONS) <= {f"{model}/{variant}" for _, model, variant in frame.index}


def test_selection_by_hand(tables):
    rows = _markdown_rows(tables, "selection", "Strategy")
    assert rows["policy"] | {"Family": "SiamFC", "Reward": "0.750", "Within": "yes", "Trained": "2"} == rows["policy"]
    assert rows["random"]["Channels"] == "5-12-19-19-12"
    assert rows["random"]["Smaller by"] == f"20.0{TIMES}"


def test_attributes_name_their_measure_and_their_count(tables):
    frame = _csv(tables, "attributes")
    assert set(frame[frame.benchmark == "vot2019"].measure) == {"accuracy"}
    assert set(frame[frame.benchmark == "otb100"].measure) == {"auc"}
    rows = _markdown_rows(tables, "attributes", "SV (2)")
    assert rows  # one of the four heads, with the number of its sequences
    row = frame[(frame.benchmark == "otb100") & (frame.variant == "dim-tsskd") & (frame.model == "siamfc")]
    assert row[row.attribute == "OCC"]["value"].item() == pytest.approx(0.6333333)


def test_what_is_given_true_boxes_neither_searches_nor_detects(tables):
    (head, *rows), *_ = _blocks((tables / "person_search.md").read_text(encoding="utf-8"))
    for cells in (dict(zip(head, row, strict=True)) for row in rows):
        given = "true boxes" in cells["Method"]
        assert (cells["detection AP"] == NONE) == given
        assert (cells["search mAP"] == NONE) == (given or "detection teacher" in cells["Method"])
        assert (cells["true boxes mAP"] == NONE) == cells["Method"].startswith(("QEEPS", "detection"))
    by_method = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    # .700 .712 .690: mean .70067, s .011015, half 4.3027 * s / sqrt(3) = .027363
    assert by_method["re-ID network, true boxes"]["true boxes mAP"] == "70.1 ± 2.7"
    assert by_method["OIM large"]["Images/s"] == "48"  # 21 ms
    assert by_method["OIM large"]["Parameters"] == "181,000"
    assert by_method["re-ID network, true boxes"]["Images/s"] == NONE


def test_the_authors_table_stands_beside_ours(tables):
    (head, *rows), prw, mini = _blocks((tables / "person_search.md").read_text(encoding="utf-8"))
    cells = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    published = {
        method: [cells[method][f"{name} publ."] for name in ("search mAP", "search top-1", "detection AP")]
        for method in ("OIM large", "OIM large + ID table", "OIM small", "OIM small + ID table", "OIM large + both")
    }
    assert published == {
        "OIM large": ["78.0", "77.9", "75.2"],
        "OIM large + ID table": ["83.8", "84.2", "81.7"],
        "OIM small": ["69.1", "68.0", "74.2"],
        "OIM small + ID table": ["82.4", "83.0", "80.8"],
        "OIM large + both": [NONE, NONE, NONE],
    }
    assert dict(zip(prw[0], prw[3], strict=True))["search mAP publ."] == "21.3 (unverified)"
    assert "QEEPS large" not in {row[0] for row in prw}
    assert {row[0]: row for row in mini}["QEEPS large"][mini[0].index("search mAP publ.")] == "39.1"
    frame = _csv(tables, "published").set_index("name")
    assert frame.loc["QEEPS, ResNet-50", "variant"].tolist() == ["qeeps/large-qeeps"] * 2
    assert frame.loc["Mask-G", "variant"].isna().all()


def test_ablations_of_person_search(ablation_tables):
    frame = _csv(ablation_tables, "search_ablations").set_index(["benchmark", "model", "variant"])
    row = frame.loc["cuhk_sysu", "oim", "small-oim_random"]
    # minus the table: -.040 -.044 -.050, minus no teacher: -.011 -.037 +.010
    assert (row["map_effect"], row["map_effect_verdict"]) == (pytest.approx(-0.134 / 3), "worse")
    assert (row["map_gain"], row["map_gain_verdict"]) == (pytest.approx(-0.038 / 3), "open")
    longer = frame.loc["cuhk_sysu", "oim", "small-oim_table_long"]
    # Against the network that was trained as long: .009 .015 .007
    assert longer["map_gain_from"] == "oim/small-oim_long"
    assert (longer["map_gain"], longer["map_gain_verdict"]) == (pytest.approx(0.031 / 3), "open")
    assert longer["changes"] == "steps 40 → 90"
    assert {f"{model}/{variant}" for _, model, variant in frame.index} >= set(SEARCH_ABLATIONS)
    blocks = _blocks((ablation_tables / "search_ablations.md").read_text(encoding="utf-8"))
    assert len(blocks) == 1  # the small OIM network on CUHK-SYSU is all that was varied
    assert len(blocks[0]) == 1 + 4 + len(SEARCH_ABLATIONS)


def test_lookup_tables_by_training_set(tables):
    frame = _csv(tables, "lookup_tables").set_index(["trained_on", "table"])
    assert frame.index.tolist() == [(trained_on, name) for trained_on in ("cuhk_sysu", "prw")
                                    for name in ("reid", "oim_final", "random")]  # fmt: skip
    rows = _markdown_rows(tables, "lookup_tables", "Rows")
    assert rows["random rows"]["own row first, % own features"] == NONE
    assert rows["final table of OIM large"]["own row first, % held-out crops"] == NONE
    assert rows["means of the re-ID network"]["own row first, % held-out crops"].startswith("7")


def test_galleries_and_speed(tables):
    galleries = _csv(tables, "galleries").set_index("variant")
    assert set(galleries.benchmark) == {"cuhk_sysu"}
    assert galleries.loc["large-oim", "map_6"] == pytest.approx(galleries.loc["large-oim", "map_12"] + 0.04)
    assert galleries.loc["large-oim", "Occlusion:map"] == pytest.approx(0.8 * galleries.loc["large-oim", "map_12"])
    assert pd.isna(galleries.loc["large-qeeps", "map_12"])
    assert "large-detector" not in galleries.index
    frame = _csv(tables, "compute")
    compute = frame[frame.trained_on != "prw"].set_index(["model", "variant"])
    assert compute.loc[("siamfc", "dim-tsskd"), "speedup"] == pytest.approx(12.4 / 4.1)
    assert compute.loc[("siamrpn", "dim-tsskd"), "size_ratio"] == pytest.approx(460 / 26)
    assert compute.loc[("oim", "small-oim"), "size_ratio"] == pytest.approx(181 / 24)
    assert frame.trained_on.value_counts().to_dict() == {"cuhk_sysu": 12, "prw": 12}
    assert len(_markdown_rows(tables, "compute", "Network")) == 10 + 12  # what costs the same is printed once
    text = (tables / "compute.md").read_text(encoding="utf-8")
    assert "Measured on one CPU (Test CPU), 1 thread: batch 1, float32." in text


def test_a_gpu_has_columns_of_its_own_where_one_was_measured(run, tables, tmp_path):
    assert "GPU" not in (tables / "compute.md").read_text(encoding="utf-8")
    assert not [name for name in _csv(tables, "compute").columns if name.startswith("gpu")]
    times = {
        key: {"milliseconds": milliseconds, "fps": 1000 / milliseconds}
        for key, milliseconds in (("siamfc/teacher", 2.0), ("siamfc/dim-tsskd", 0.8))
    }
    gpu = {"convention": "batch 1, float32 with TF32 convolutions; ms", "machine": {"device": "Test GPU"}}
    profile = tmp_path / "compute.json"
    write_json(profile, read_json(run.compute) | {"gpu": gpu | {"networks": times}})
    write_tables(run.params, run.metrics, run.sidecars, profile, tmp_path, searches=run.searches)
    text = (tmp_path / "compute.md").read_text(encoding="utf-8")
    assert (
        "Measured on one CPU (Test CPU), 1 thread: batch 1, float32. GPU: Test GPU, batch 1, float32 with TF32" in text
    )
    rows = _markdown_rows(tmp_path, "compute", "Network")
    dim = rows["SiamFC dim, TSsKD"]
    assert (dim["ms"], dim["Faster by"]) == ("4.10", f"3.0{TIMES}")
    assert (dim["GPU ms"], dim["GPU FPS"], dim["GPU faster by"]) == ("0.80", "1,250", f"2.5{TIMES}")
    assert rows["SiamFC dim, TSKD"]["GPU ms"] == NONE
    frame = _csv(tmp_path, "compute").set_index(["model", "variant"])
    assert frame.loc[("siamfc", "dim-tsskd"), "gpu_speedup"] == pytest.approx(2.5)
    assert frame.loc[("siamfc", "dim-tsskd"), "gpu_machine"] == "Test GPU"


def test_the_overlap_on_got10k_is_the_test_servers(tables):
    assert published_values("got10k", "siamfc/teacher") is None  # the part that is scored here is another one
    assert published_values("got10k_test", "siamfc/teacher").values == {"ao": 0.355}
    (row,) = [row for row in _csv(tables, "published").to_dict("records") if row["measure"] == "ao"]
    assert (row["benchmark"], row["value"], row["mark"]) == ("got10k_test", 0.355, "found")
    text = (tables / "published.md").read_text(encoding="utf-8")
    assert re.search(r"\| GOT-10k \(test, server\) +\| AO +\| +0\.355 +\| found ", text)


def test_special_characters_are_escaped(tables):
    frame = _csv(tables, "tracking")
    frame.loc[0, "label"] = r"50% of_#1 & {x} ~ ^ \ | <b>"
    table = TABLES["tracking"].shown("tracking", frame)
    text = latex(table)
    assert (
        r"50\% of\_\#1 \& \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} | \textless{}b\textgreater{}"
        in text
    )
    assert r"\\ \| &lt;b>" in markdown(table)
    assert not re.search(r"(?<!\\)[%#]", text.replace("{!}{%", ""))


def test_heads_over_heads_in_latex(tables):
    text = (tables / "tracking.tex").read_text(encoding="utf-8")
    assert r"\multicolumn{3}{c}{} & \multicolumn{2}{c}{OTB-100} & \multicolumn{3}{c}{VOT2019}" in text
    assert r"\cmidrule(lr){4-5} \cmidrule(lr){6-8}" in text


def _write(run, metrics, out, **changes):
    write_tables(run.params | changes, metrics, run.sidecars, run.compute, out, searches=run.searches)


def test_the_same_inputs_give_the_same_bytes(run, tables, tmp_path):
    _write(run, list(reversed(run.metrics)), tmp_path)
    for path in tables.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_missing_seed_is_counted_and_a_missing_paper_leaves_its_tables_empty(run, tmp_path):
    tracking = [path for path in run.metrics if "otb100" in path.parts and "dim-tsskd/seed2" not in path.as_posix()]
    _write(run, tracking, tmp_path)
    frame = _csv(tmp_path, "tracking").set_index(["model", "variant"])
    assert frame.loc[("siamfc", "dim-tsskd"), "seeds"] == 2
    assert frame.loc[("siamfc", "dim-tsskd"), "otb100.auc_seeds"] == 2
    assert "no results" in (tmp_path / "person_search.md").read_text(encoding="utf-8")


def test_unlisted_variants_follow_the_listed_ones(run, tmp_path):
    other = tmp_path / "seed0.json"
    write_json(other, read_json(run.metrics[0]) | {"model": "mine", "variant": "best"})
    _write(run, [*run.metrics, other], tmp_path / "tables")
    assert _csv(tmp_path / "tables", "tracking")["label"].iloc[-1] == "mine/best"


def test_unknown_parameters_are_refused(run, tmp_path):
    with pytest.raises(UserError, match="did you mean `seeds`"):
        _write(run, run.metrics, tmp_path, seed=[0])


@pytest.mark.parametrize("kind", ["tables", "figures"])
def test_unknown_outputs_are_refused(run, tmp_path, kind):
    with pytest.raises(UserError, match=f"`?{kind}"):
        _write(run, run.metrics, tmp_path, **{kind: ["secret"]}) if kind == "tables" else _figures(run, tmp_path)


def _figures(run, out):
    from distillery.paper.figures import write_figures

    params = run.params | {"figures": ["secret"]}
    write_figures(params, run.metrics, run.curves, run.compute, run.data, run.predictions, out)
