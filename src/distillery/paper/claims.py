"""Every claim of both papers with a verdict, from metrics and costs, as `claims.json` and `claims.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillery.config.base import parse
from distillery.config.claims_job import ClaimsJob
from distillery.files import write_json, write_text
from distillery.paper.claims_page import markdown
from distillery.paper.contrasts import Metrics
from distillery.paper.costs import read_compute
from distillery.paper.judged import Document
from distillery.paper.judging import judge_claim
from distillery.paper.quantities import Court
from distillery.paper.verdicts import RULES

FORMAT = 1


def write_claims(params: Mapping[str, Any], metrics: Sequence[Path], compute: Path, out_dir: Path) -> Document:
    """Judges the claims and writes `claims.json` and `claims.md`.

    Args:
        params: `ClaimsJob` as plain data.
        metrics: Metrics files of `distillery score`.
        compute: compute.json of `distillery profile-networks`.
        out_dir: Folder to write to.

    Raises:
        UserError: If an input is missing or malformed.
    """
    job = parse(ClaimsJob, dict(params), source="--params")
    court = Court(job, Metrics.read(metrics), read_compute(compute), compute.as_posix())
    document = Document(
        format=FORMAT,
        profile=job.profile,
        target=job.target,
        seeds=job.seeds,
        scale=job.scale,
        confidence=job.rules.confidence,
        resamples=job.rules.resamples,
        rules=RULES,
        claims=tuple(judge_claim(court, claim) for claim in job.claims),
    )
    write_json(out_dir / "claims.json", document.model_dump(mode="json"))
    write_text(out_dir / "claims.md", markdown(document))
    return document
