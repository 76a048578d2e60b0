"""The commands that turn anyone's results into numbers: scoring, and the way over a benchmark's server.

Each imports what it needs when it runs, as in `commands.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from distillery import arguments
from distillery.arguments import label


def add(
    command: Callable[..., argparse.ArgumentParser],
    path: Callable[..., None],
    benchmarks: Sequence[str],
    server_sets: Sequence[str],
) -> None:
    """Adds the commands to the command line."""
    one = command("score", score, "Score anyone's results by a benchmark's protocol.")
    one.add_argument("--benchmark", required=True, choices=[*benchmarks, "prw_mini"])
    path(
        one,
        "--root",
        "folder in the official layout; of its images only VOT's are needed, each sequence's first",
        required=True,
    )
    path(one, "--results", "folder of result files, or .npz of person search", required=True)
    one.add_argument("--protocol", help="variant (otb100: got10k, pysot, …; vot2019: pysot, vottoolkit; see docs)")
    path(one, "--out", "JSON file for the metrics")
    one.add_argument("--allow-partial", action="store_true", help="score what is there and count what is not")
    one.add_argument("--label", nargs="+", default=[], metavar="NAME=VALUE", help="model, variant and seed to record")

    many = command("score-all", score_all, "Score many models on one benchmark.")
    many.add_argument("--benchmark", required=True, choices=[*benchmarks, "prw_mini"])
    path(
        many,
        "--root",
        "folder in the official layout; of its images only VOT's are needed, each sequence's first",
        required=True,
    )
    many.add_argument("--protocol", help="variant, as for score")
    many.add_argument("--allow-partial", action="store_true", help="person search: score the queries that were run")
    many.add_argument(
        "--pairs", nargs="+", required=True, metavar="RESULTS=METRICS", help="…/<model>/<variant>/seed<k>.json to write"
    )

    pack = command("submission", submission, "Pack results for the server of a benchmark's test set.")
    pack.add_argument("--benchmark", required=True, choices=server_sets)
    path(pack, "--root", "folder in the official layout", required=True)
    path(pack, "--results", "folder of result files", required=True)
    path(pack, "--out", "NAME.zip to write; its record with its hash is NAME.zip.json", required=True)

    reply = command("answer", answer, "Import a server's answer as metrics.")
    reply.add_argument("--benchmark", required=True, choices=server_sets)
    path(reply, "--answer", "what the server said: JSON, or lines `Name: number`", required=True)
    path(reply, "--submission", "the zip that was sent", required=True)
    path(reply, "--out", "JSON file for the metrics", required=True)
    reply.add_argument("--label", nargs="+", default=[], metavar="NAME=VALUE", help="model, variant and seed to record")


def score(options: argparse.Namespace) -> None:
    """Scores results."""
    from distillery.files import write_json
    from distillery.summary import lines
    from distillery.tracking.indices import refuse_index

    whose = label(options.label)
    refuse_index(options.out)
    partial = options.allow_partial
    if options.benchmark in arguments.SEARCH_BENCHMARKS:
        from distillery.person_search import scoring as search

        name, protocol = options.benchmark, options.protocol or "official"
        metrics = search.score(options.root, options.results, benchmark=name, protocol=protocol, allow_partial=partial)
    else:
        from distillery.tracking import scoring as tracking

        wanted = (options.benchmark, options.root, options.results)
        metrics = tracking.score(*wanted, protocol=options.protocol, allow_partial=partial)
    metrics |= whose
    if options.out:  # before anything is printed: a closed pipe (`| head`) must not cost the file
        write_json(options.out, metrics)
    for line in lines(metrics):
        print(line)


def score_all(options: argparse.Namespace) -> None:
    """Scores many models on one benchmark; whose results they are stands in the path of the metrics."""
    from distillery.files import write_json
    from distillery.tracking.indices import refuse_index

    wanted = arguments.metrics_of(options.pairs)
    for metrics, _ in wanted.values():
        refuse_index(metrics)
    if options.benchmark in arguments.SEARCH_BENCHMARKS:
        from distillery.person_search import scoring as search

        kind = {"protocol": options.protocol or "official", "allow_partial": options.allow_partial}
        scored = search.score_many(options.benchmark, options.root, list(wanted), **kind)
    else:
        from distillery.tracking import scoring

        scored = scoring.score_many(options.benchmark, options.root, list(wanted), protocol=options.protocol)
    for results, (metrics, whose) in wanted.items():
        write_json(metrics, scored[results] | whose)
    print(f"{options.benchmark}: {len(wanted)} results scored")


def submission(options: argparse.Namespace) -> None:
    """Packs results for a benchmark's server."""
    from distillery.tracking.submission import pack

    record = pack(options.benchmark, options.root, options.results, options.out)
    print(f"{options.out}: {record['sequences']} sequences, sha256 {record['sha256']}")


def answer(options: argparse.Namespace) -> None:
    """Imports a server's answer as metrics."""
    from distillery.files import write_json
    from distillery.tracking.indices import refuse_index
    from distillery.tracking.submission import import_answer

    whose = label(options.label)
    refuse_index(options.out)
    write_json(options.out, import_answer(options.benchmark, options.answer, options.submission) | whose)
