"""Snakemake's side of `distillery plan`: a logger plugin that writes every job of a dry run as a line of JSON.

Snakemake finds it by the beginning of its name, on the path that `distillery.planning.listing` gives it.
"""

from __future__ import annotations

import json
import os
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

FILE = "DISTILLERY_PLAN"
"""Environment variable with the path of the file to write."""


class LogHandler(LogHandlerBase):
    """Writes what Snakemake says of a job: rule, wildcards, files, threads, priority and resources."""

    def __post_init__(self) -> None:
        self._stream = open(os.environ[FILE], "w", encoding="utf-8")  # noqa: SIM115 (closed with the handler)

    @property
    def writes_to_stream(self) -> bool:
        """No: what is said to people goes its own way."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """No: Snakemake would name the file as a log at its end."""
        return False

    @property
    def has_filter(self) -> bool:
        """Yes, so that all records come, however quiet the run is."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Yes: JSON."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """No."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Writes a job's line; other records are passed over."""
        if record.__dict__.get("event") != LogEvent.JOB_INFO:
            return
        said = record.__dict__
        job = {
            "rule": said["rule_name"],
            "id": said["jobid"],
            "wildcards": {name: str(value) for name, value in dict(said["wildcards"] or {}).items()},
            "input": [str(file) for file in said["input"] or ()],
            "output": [str(file) for file in said["output"] or ()],
            "benchmark": str(said["benchmark"]) if said["benchmark"] else None,
            "threads": said["threads"],
            "priority": said["priority"],
            "resources": {name: value for name, value in said["resources"].items() if isinstance(value, int)},
        }
        self._stream.write(json.dumps(job) + "\n")

    def close(self) -> None:
        """Ends the file."""
        self._stream.close()
        super().close()
