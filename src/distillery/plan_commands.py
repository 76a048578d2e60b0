"""`distillery plan`: what a run would take, and how long on a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distillery.files import write_json

TARGETS = {"all": ["all"], "ablations": ["all", "ablations"]}
"""What is planned -> targets of Snakemake; the ablations stand beside the headline."""
SHOWN = 12
"""Jobs of the critical path that are printed."""


def add(
    command: Callable[..., argparse.ArgumentParser], path: Callable[..., None], params: Callable[..., None]
) -> None:
    """Registers the command."""
    plan = command("plan", run, "Say what a run would take: jobs, hours, memory, disk, by rule.")
    path(plan, "--configfile", "profile", default=Path("config/paper.yaml"))
    plan.add_argument("--target", choices=list(TARGETS), default="all", help="headline alone, or the ablations too")
    path(plan, "--cluster", "machines to simulate the run on (config/cluster.yaml)")
    path(plan, "--benchmarks", "measured times of a finished run (its results/<profile>/benchmarks) to plan with")
    path(plan, "--estimates", "table of what jobs cost", default=Path("config/estimates.yaml"))
    plan.add_argument("--everything", action="store_true", help="also the jobs whose files are there already")
    path(plan, "--out", "JSON file for the plan")


def run(options: argparse.Namespace) -> None:
    """Prints the plan, and writes it where asked."""
    from distillery.config.profile import load
    from distillery.planning.cluster import load_cluster
    from distillery.planning.estimates import load_estimates
    from distillery.planning.listing import list_jobs
    from distillery.planning.plan import measured_seconds, on_cluster, planned, summary

    profile, estimates = load(options.configfile), load_estimates(options.estimates)
    cluster = load_cluster(options.cluster) if options.cluster else None
    times = measured_seconds(options.benchmarks) if options.benchmarks else None
    cores = cluster.cores if cluster else 64
    listed = list_jobs(Path(), options.configfile, TARGETS[options.target], cores=cores, everything=options.everything)
    jobs = planned(profile, estimates, listed, times)
    if not jobs:
        print("Nothing to be done; --everything plans what is there already too.")
        return
    found: dict[str, Any] = {"profile": profile.profile, "target": options.target, **summary(profile, estimates, jobs)}
    print(_table(found))
    print(_totals(found))
    if cluster:
        _, found["cluster"] = on_cluster(estimates, jobs, cluster)
        print(_cluster(found["cluster"]))
    if options.out:
        write_json(options.out, found)


def _table(found: Mapping[str, Any]) -> str:
    import pandas as pd

    heads = {
        "jobs": ("jobs", ".0f"),
        "gpu_hours": ("GPU-hours", ".1f"),
        "core_hours": ("core-hours", ".1f"),
        "longest_hours": ("longest, h", ".2f"),
        "memory_gb": ("memory, GB", ".1f"),
        "gpu_memory_gb": ("GPU memory, GB", ".1f"),
        "disk_gb": ("files, GB", ".2f"),
    }
    rows = {**dict(sorted(found["rules"].items())), "total": found["total"]}
    frame = pd.DataFrame.from_dict(rows, orient="index")[list(heads)]
    frame.columns = pd.Index([head for head, _ in heads.values()])
    return str(frame.rename_axis("rule").to_markdown(floatfmt=("", *(form for _, form in heads.values()))))


def _totals(found: Mapping[str, Any]) -> str:
    disk = ", ".join(f"{part} {size:.1f} GB" for part, size in found["disk_gb"].items())
    unit = "on GPUs of speed 1 (GTX 1080 Ti)" if found["speed"] else "without GPU"
    lines = [f"Hours are those {unit}; config/estimates.yaml says where each number comes from.", f"Disk: {disk}."]
    if found["total"]["measured"]:
        lines.append(f"{found['total']['measured']:.0f} of {found['total']['jobs']:.0f} jobs with their measured time.")
    return "\n" + "\n".join(lines)


def _cluster(said: Mapping[str, Any]) -> str:
    path = said["critical_path"]
    shown = [*path[:SHOWN], f"… {len(path) - SHOWN} more"] if len(path) > SHOWN else path
    lines = [
        f"On the cluster: {_time(said['makespan_hours'])} in all, {said['gpu_hours']:.1f} GPU-hours"
        + (f" ({100 * said['gpu_use']:.0f} % of its {said['gpus']} GPUs)" if said["gpus"] else "")
        + f", {said['core_hours']:.1f} core-hours.",
        f"Critical path, which no number of machines shortens: {_time(said['critical_hours'])}:",
        *(f"  {one}" for one in shown),
    ]
    if said["too_large"]:
        lines.append(f"No GPU there has the memory that these want: {', '.join(said['too_large'])}.")
    return "\n" + "\n".join(lines)


def _time(hours: float) -> str:
    if hours < 2:
        return f"{int(hours * 60)}:{round(hours * 3600) % 60:02d} min"
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} days"
