"""The command that judges the claims of both papers."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from distillery.arguments import plain_json


def add(
    command: Callable[..., argparse.ArgumentParser],
    path: Callable[..., None],
    params: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Adds the command to the command line."""
    judged = command("claims", claims, "Judge the claims of both papers from metrics and costs.")
    params(judged)
    path(judged, "--metrics", "metrics files", nargs="+", required=True)
    path(judged, "--compute", "output of profile-networks", required=True)
    path(judged, "--out-dir", "folder for claims.json and claims.md", required=True)


def claims(options: argparse.Namespace) -> None:
    """Judges the claims."""
    from distillery.paper.claims import write_claims
    from distillery.paper.claims_page import counts

    document = write_claims(plain_json(options.params), options.metrics, options.compute, options.out_dir)
    told = ", ".join(f"{verdict} {count}" for verdict, count in counts(document))
    print(f"{options.out_dir / 'claims.json'}: {told}")
