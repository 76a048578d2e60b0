"""Brings back what was published at this commit: DVC gives the bytes, Snakemake gets its records back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from distillery.errors import UserError
from distillery.sources import environment
from distillery.store import dvc, history, preflight, publishing
from distillery.store.places import HISTORY, RECORD, SHARED, parts, targets

_NO_REMOTE = (
    "name the store with `dvc remote add --local -d store URL` (docs/store.md), or share a cache, and run the same "
    "command again"
)


def restore(
    profile: str, *, config: Path, remote: str | None = None, force: bool = False, root: Path = Path()
) -> dict[str, Any]:
    """Gets data, checkpoints and results of a profile from DVC, so that Snakemake finds nothing to be done.

    Killed or cut off, the same call goes on: DVC keeps what it has fetched.

    Args:
        profile: Name of the profile.
        config: Its file, which Snakemake reads.
        remote: Name of DVC's remote; without one its default remote, or its cache alone where there is none.
        force: Whether files may be replaced that lie here and are in no cache.
        root: Top folder of the project.

    Returns:
        The record of what DVC holds, which is written beside the results as publishing does, and with it as `differing`
        the files that are not here as the jobs had them: Snakemake will run those jobs again.

    Raises:
        UserError: If nothing of the profile is published at this commit, the store does not have it, other files would
            be lost, or DVC is set up in a way that breaks reruns.
    """
    settings = preflight.check(root)
    preflight.check_idle(root)
    for part in parts(profile):
        if dvc.pointer(root, part.pointer) is None:
            raise UserError(
                f"does not exist or says nothing: this commit has published no {part.name} of profile {profile}",
                file=root / part.pointer,
                remedy="check out a commit that has, restore a bundle, or run snakemake",
            )
    if not (root / config).is_file():
        raise UserError("does not exist", file=root / config, remedy="name the profile's file with --configfile")
    _get(root, profile, remote or settings.get("core.remote"), force)
    files = publishing.held(root, profile, dvc.cache(root, settings))
    records = history.unpack(root / "results" / profile / HISTORY, profile)
    history.write(root, records)
    homes = targets(profile, root)
    outs = [home / RECORD for home in homes.values()]
    record = publishing.write_record(profile, outs, records, files, root=root, restored=True)
    for target, out in zip(homes, outs, strict=True):
        _touch(root, config, f"publish_{target}", out)
    return record | {"differing": history.wake(root, records)}


def _get(root: Path, profile: str, remote: str | None, force: bool) -> None:
    named = [part.folder if part.name in SHARED else part.pointer for part in parts(profile)]
    options = ["--force"] if force else []
    if remote is None:
        dvc.call(root, "checkout", *options, *named, shown=True, remedy=_NO_REMOTE)
        return
    remedy = (
        "run the same command again where the store could not be reached; where files here stand in the way, move them "
        "away or pass --force"
    )
    dvc.call(root, "pull", "--remote", remote, *options, *named, shown=True, remedy=remedy)


def _touch(root: Path, config: Path, rule: str, out: Path) -> None:
    """Lets Snakemake record the last job, whose own record cannot be among what it stored.

    No other rule is allowed, so nothing else is declared up to date: that is for the records to show.
    """
    command = [sys.executable, "-m", "snakemake", "--touch", "--force", "--cores", "1", "--quiet", "all"]
    command += ["--allowed-rules", rule, "--configfile", str(config), "--", str(out.relative_to(root))]
    done = subprocess.run(
        command,
        cwd=root,
        env=os.environ | environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise UserError(
            f"Snakemake could not take over what was restored ({' '.join(said[-3:])})",
            file=out,
            remedy="see `snakemake -n`, mend that and run the same command again",
        )
