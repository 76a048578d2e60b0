"""Resources of the workflow's rules: what Snakemake asks a cluster for, from the same table as the plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from distillery.config.profile import Profile
from distillery.planning.estimates import DEFAULT, Estimates, load_estimates
from distillery.planning.forecast import limit_minutes, memory_mb
from distillery.planning.rules import Table, rule_table, work_of
from distillery.planning.work import Work

OF_A_CLUSTER = 1.0
"""Speed of the GPU for which limits are set: the table's unit, which is slow, so that they hold on all."""


class RuleResources:
    """Resources of the jobs of a profile.

    Args:
        profile: The profile.
        table: File of estimates.
    """

    def __init__(self, profile: Profile, table: Path = DEFAULT) -> None:
        self._profile, self._file = profile, table
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], Work] = {}

    def runtime(self, rule: str, wildcards: Mapping[str, Any], threads: int, attempt: int) -> int:
        """Minutes."""
        speed = OF_A_CLUSTER if self.gpus(rule, wildcards) else None
        work = self._work(rule, wildcards)
        return limit_minutes(work, self._estimates, threads=max(1, threads), speed=speed, attempt=attempt)

    def memory(self, rule: str, wildcards: Mapping[str, Any], attempt: int) -> int:
        """Megabytes."""
        return memory_mb(self._work(rule, wildcards), attempt=attempt)

    def disk(self, rule: str, wildcards: Mapping[str, Any]) -> int:
        """Megabytes of the files that a job leaves, at least 1."""
        return max(1, math.ceil(self._work(rule, wildcards).disk_mb))

    def gpus(self, rule: str, wildcards: Mapping[str, Any]) -> int:
        """1 for a job that computes with torch, unless the profile computes on the processor."""
        return int(self._profile.compute.device != "cpu" and self._work(rule, wildcards).gpu)

    def _work(self, rule: str, wildcards: Mapping[str, Any]) -> Work:
        key = rule, tuple(sorted((name, str(value)) for name, value in wildcards.items()))
        if key not in self._known:
            self._known[key] = work_of(self._table, self._estimates, rule, dict(key[1]))
        return self._known[key]

    @cached_property
    def _estimates(self) -> Estimates:
        return load_estimates(self._file)

    @cached_property
    def _table(self) -> Table:
        return rule_table(self._profile, self._estimates)


def functions(profile: Profile, table: Path = DEFAULT) -> tuple[Callable[..., int], ...]:
    """`runtime_of`, `memory_of`, `disk_of` and `gpus_of` as Snakemake calls functions under `resources:`."""
    resources = RuleResources(profile, table)

    def runtime_of(wildcards: Any, threads: int, attempt: int, rulename: str) -> int:
        return resources.runtime(rulename, dict(wildcards.items()), threads, attempt)

    def memory_of(wildcards: Any, attempt: int, rulename: str) -> int:
        return resources.memory(rulename, dict(wildcards.items()), attempt)

    def disk_of(wildcards: Any, rulename: str) -> int:
        return resources.disk(rulename, dict(wildcards.items()))

    def gpus_of(wildcards: Any, rulename: str) -> int:
        return resources.gpus(rulename, dict(wildcards.items()))

    return runtime_of, memory_of, disk_of, gpus_of
