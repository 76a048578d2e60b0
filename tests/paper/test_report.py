"""The report: whole, self-contained, escaped, honest, and readable by a browser."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess

import pytest

from distillery.errors import UserError
from distillery.files import write_json, write_text
from distillery.paper.records import Result, Results
from distillery.paper.report import scored, write_report
from distillery.paper.verdicts import RULES

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


def test_the_report_holds_every_table_and_figure(run, report):
    text = report.read_text(encoding="utf-8")
    assert all(f'id="table-{name}"' in text for name in run.job.tables)
    assert all(f'id="figure-{name.replace("_", "-")}"' in text for name in run.job.figures)
    assert text.count("<figure id=") == len(run.job.figures)
    assert len(text.encode()) < 8e6


def test_the_report_of_the_ablations(ablated, ablation_report):
    text = html.unescape(ablation_report.read_text(encoding="utf-8"))
    assert all(f'id="table-{name}"' in text for name in ablated.job.tables)
    assert all(f'id="figure-{name.replace("_", "-")}"' in text for name in ablated.job.figures)
    assert "Two papers, regenerated: ablations" in text
    assert re.findall(r'<tr id="claim-(\w+)">', text) == [
        "generality_deep",
        "loss_soft",
        "loss_hard",
        "control_teacher",
    ]


def test_sections_are_those_of_the_families_that_the_job_has(report, ablation_report):
    headline, ablations = (path.read_text(encoding="utf-8") for path in (report, ablation_report))
    assert all(f'<section id="{anchor}">' in headline for anchor in ("siamfc", "siamrpn", "selection", "person_search"))
    assert '<section id="ablations">' not in headline
    assert '<section id="siamrpnpp">' not in headline
    assert '<section id="ablations">' in ablations
    assert '<section id="person_search">' not in ablations
    assert all(f'<section id="person_search{end}">' in headline for end in ("", "_teachers", "_training"))
    assert '<section id="search_ablations">' in ablations


def test_the_report_asks_the_network_for_nothing(report):
    text = report.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<link" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    references = re.findall(r'(?:src|href|srcset|action|poster)="([^"]*)"', text)
    assert references
    assert all(reference.startswith(("#", "data:image/svg+xml;base64,")) for reference in references)
    for reference in (reference for reference in references if reference.startswith("data:")):
        svg = base64.b64decode(reference.partition(",")[2]).decode()
        assert all(target.startswith(("#", "data:")) for target in re.findall(r'href="([^"]*)"', svg))


def test_every_link_of_the_contents_leads_somewhere(report):
    text = report.read_text(encoding="utf-8")
    targets = re.findall(r'href="#([^"]+)"', text)
    assert len(targets) >= 8
    assert all(f'id="{target}"' in text for target in targets)


def test_the_first_page_shows_every_claim_with_its_verdict(claims, report):
    text = report.read_text(encoding="utf-8")
    judged = json.loads(claims.read_text(encoding="utf-8"))["claims"]
    assert re.findall(r'<tr id="claim-(\w+)">', text) == [one["id"] for one in judged]
    assert re.findall(r'</td>\s<td><span class="pill [\w-]+">([\w ]+)</span>', text) == [
        one["verdict"] for one in judged
    ]
    assert text.index('id="claims"') < text.index('id="summary"') < text.index('id="differences"')
    for rule in RULES:
        assert html.escape(rule, quote=False) in text.replace("&#39;", "'")


def test_what_the_run_does_not_show_is_computed(report):
    text = html.unescape(report.read_text(encoding="utf-8"))
    lacks = text.partition("<h3>What this run does not show")[2].partition("</section>")[0]
    assert "OIM small + ID table is not clearly above the best trivial method on CUHK-SYSU (mAP 19.3" in lacks
    assert "CUHK-SYSU, PRW, PRW-mini are embedded, synthetic worlds" in lacks
    assert "embedded, synthetic worlds" in lacks
    assert "Nothing about TrackingNet's test split" in lacks


def test_claims_of_another_run_are_refused(run, tables, figures, ablation_claims, tmp_path):
    with pytest.raises(UserError, match=r"is of tiny, ablations, the report of tiny, headline"):
        write_report(run.params, tables, figures, run.metrics, ablation_claims, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_run_facts_and_config(report):
    text = html.unescape(report.read_text(encoding="utf-8"))
    for fact in (
        "Code",
        "Libraries",
        "torch",
        "seeds:\n- 0",
        "otb100, as configured",
        "cuhk_sysu, as scored",
        "protocol vot/pysot",
    ):
        assert fact in text


def test_missing_seeds_are_said(run, tables, figures, claims, tmp_path):
    metrics = [path for path in run.metrics if "siamfc/dim-tsskd/seed2" not in path.as_posix()]
    write_report(run.params, tables, figures, metrics, claims, tmp_path / "report.html")
    text = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    lacking = "OTB-100, VOT2019, LaSOT, TrackingNet (held-out part)"
    assert f"SiamFC dim, TSsKD has no result on {lacking} for seed 2." in text


def test_hostile_text_is_shown_and_never_run(run, tables, figures, claims, tmp_path):
    evil = "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>"
    folder = tmp_path / "tables"
    shutil.copytree(tables, folder)
    for name in ("tracking", "differences"):
        text = (folder / f"{name}.csv").read_text(encoding="utf-8")
        write_text(folder / f"{name}.csv", text.replace("TSsKD", evil))
    params = run.params | {"profile": evil, "config": {"note": evil}}
    params["tracking"] = run.params["tracking"] | {
        "variants": [variant | {"label": evil} for variant in run.params["tracking"]["variants"]]
    }
    document = json.loads(claims.read_text(encoding="utf-8")) | {"profile": evil}
    document["claims"][0] |= {"statement": evil, "why": evil, "id": f'"><{evil}'}
    write_json(tmp_path / "claims.json", document)
    write_report(params, folder, figures, run.metrics, tmp_path / "claims.json", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img src=http" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5


def test_the_same_inputs_give_the_same_bytes(run, tables, figures, claims, report, tmp_path):
    write_report(run.params, tables, figures, run.metrics, claims, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == report.read_bytes()


@pytest.mark.parametrize("name", ["tables/tracking.csv", "figures/success.svg", "claims/claims.json"])
@pytest.mark.parametrize("content", [None, "<svg", "<svg></svg>"])
def test_missing_and_malformed_parts_are_named(run, tables, figures, claims, tmp_path, name, content):
    for folder in (tables, figures, claims.parent):
        shutil.copytree(folder, tmp_path / folder.name)
    path = tmp_path / name
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=path.name) as caught:
        parts = (tmp_path / "tables", tmp_path / "figures", run.metrics, tmp_path / "claims" / "claims.json")
        write_report(run.params, *parts, tmp_path / "report.html")
    assert "run" in caught.value.remedy
    assert not (tmp_path / "report.html").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_report_without_a_complaint(run, report, tmp_path):
    browser = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'browser'}",
            f"--screenshot={tmp_path / 'report.png'}",
            "--window-size=1400,1200",
            "--dump-dom",
            report.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in browser.stderr
    assert "What this run does not show" in browser.stdout
    assert "SiamFC dim, TSsKD" in browser.stdout
    assert browser.stdout.count("<figure") == len(run.job.figures)


def test_the_head_counts_the_most_that_any_method_was_scored_on():
    def result(model, **counts):
        head = {"benchmark": "cuhk_sysu", "protocol": "official", "model": model, "variant": "large", "seed": 0}
        return Result.model_validate(head | {"numbers": {"ap": 0.5}, "counts": counts})

    # A detector searches for nobody, and comes first; QEEPS was given fewer queries.
    results = [result("detector", people=3), result("qeeps", queries=40), result("oim", queries=150)]
    assert scored(Results(tuple(results))) == [("CUHK-SYSU", "150 queries")]
