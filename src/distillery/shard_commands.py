"""The command that makes the crops of several training sets, in shards."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add(
    command: Callable[..., argparse.ArgumentParser], path: Callable[..., None], params: Callable[..., None]
) -> None:
    """Registers `crop-shards`."""
    shards = command("crop-shards", crop_shards, "Make the crops of training sets, in a few large files.")
    params(shards)
    path(shards, "--data", "manifest of each set", nargs="+", required=True)
    path(shards, "--out", "folder to write; what it holds is told in FOLDER.json", required=True)
    shards.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on it")


def crop_shards(options: argparse.Namespace) -> None:
    """Makes the shards, or what is missing of them."""
    from distillery.config.base import parse_json
    from distillery.config.shards import ShardJob
    from distillery.tracking.crop_shards import build_shards

    job = parse_json(ShardJob, options.params)
    content = build_shards(job, options.data, options.out, workers=options.workers)
    for name, about in content["sets"].items():
        counts = about["counts"]
        print(
            f"{options.out / name}: {counts['crops']} crops of {counts['tracks']} objects in {counts['videos']} videos,"
            f" {counts['bytes'] / 1e6:.0f} MB in {len(about['shards'])} files"
        )
        for image, problem in about["skipped"]:
            print(f"skipped: {image} {problem}")
