"""The second paper's rows and comparisons, from its half of the config."""

from __future__ import annotations

from distillery.config.paper_job import Comparison, Part, Variant, baseline, run_label, variant_name
from distillery.config.person_search import PersonSearch


def search_part(search: PersonSearch) -> Part:
    """A network is compared with its own first run (gain) and, where it learns from a table, with the first network in
    the same run (gap)."""
    variants = [
        Variant(
            model="reid",
            variant="teacher",
            label="re-ID teacher, true boxes",
            role="teacher",
            compared_with="reid/teacher",
            true_boxes=True,
        )
    ]
    comparisons: list[Comparison] = []
    networks, runs = tuple(search.networks), tuple(search.runs)
    for network in networks:
        for run in runs:
            variant = variant_name(network, run)
            variants.append(
                Variant(
                    model="oim",
                    variant=variant,
                    label=f"{network}, {run_label(run)}",
                    role="reference" if search.runs[run].table is None else "distilled",
                    compared_with=f"oim/{variant_name(networks[0], run)}",
                )
            )
            if run != runs[0]:
                comparisons.append(
                    Comparison(
                        minuend=f"oim/{variant}",
                        subtrahend=f"oim/{variant_name(network, runs[0])}",
                        question="gain",
                        statement=f"{run_label(run)} is better than {run_label(runs[0])} for the {network} network",
                    )
                )
            if network != networks[0] and search.runs[run].table is not None:
                comparisons.append(
                    Comparison(
                        minuend=f"oim/{variant}",
                        subtrahend=f"oim/{variant_name(networks[0], run)}",
                        question="gap",
                        statement=f"with {run_label(run)} the {network} network is as accurate as the "
                        f"{networks[0]} one",
                    )
                )
    variants += [baseline(name) for name in search.baselines]
    return Part(benchmarks=("cuhk_sysu",), variants=tuple(variants), comparisons=tuple(comparisons))
