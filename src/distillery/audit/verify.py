"""Whether everything is still what the manifest says, and whether what it says hangs together."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from distillery.audit import checks_chain, checks_files, checks_state
from distillery.audit.findings import Finding
from distillery.audit.project import Project

CHECKS: tuple[Callable[[Project], Iterator[Finding]], ...] = (
    checks_files.artefacts_are_unchanged,
    checks_files.data_are_unchanged,
    checks_files.the_store_holds_the_same,
    checks_chain.jobs_read_what_others_made,
    checks_chain.every_artefact_has_its_job,
    checks_chain.records_agree,
    checks_chain.files_state_their_origin,
    checks_state.code_is_that_of_the_run,
    checks_state.config_is_that_of_the_run,
    checks_files.nothing_else_lies_there,
)


def verify(project: Project) -> list[Finding]:
    """Every broken link, in the order of the checks."""
    found = [finding for check in CHECKS for finding in check(project)]
    return list(dict.fromkeys(found))
