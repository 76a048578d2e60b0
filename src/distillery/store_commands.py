"""Commands of the store: bring back what was published, and pack it for a reviewer."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distillery.errors import UserError


def add(command: Callable[..., Any], path: Callable[..., None], params: Callable[..., None]) -> None:
    """Registers the commands."""
    back = command("restore", restore, "Bring back data, checkpoints and results, from DVC or from a bundle.")
    back.add_argument("--profile", help="profile (default: mini; of a bundle its own)")
    path(back, "--bundle", "archive of `distillery bundle`; without it DVC's store is asked")
    back.add_argument("--remote", metavar="NAME", help="remote of DVC's (default: its default remote)")
    path(back, "--configfile", "file of the profile (default: config/PROFILE.yaml)")
    back.add_argument(
        "--force", action="store_true", help="replace files of other content; take a bundle of other code"
    )

    pack = command("bundle", bundle, "Pack all that a profile has made and published into one archive.")
    pack.add_argument("--profile", default="mini")
    path(pack, "--configfile", "file of the profile (default: config/PROFILE.yaml)")
    path(pack, "--out", "archive to write (default: dist/PROFILE-COMMIT.tar.gz)")


def restore(options: argparse.Namespace) -> None:
    """Brings a profile back."""
    from distillery.store import restoring, unpacking

    if options.bundle is not None and options.remote is not None:
        raise UserError("--bundle and --remote are two ways to the same files", remedy="leave one of them out")
    if options.bundle is not None:
        manifest, record = unpacking.restore(options.bundle, profile=options.profile, force=options.force)
        profile, config = manifest.profile, manifest.config
        print(f"From {options.bundle}, made at commit {manifest.commit or 'unknown'}:")
    else:
        profile = options.profile or "mini"
        file = _config(options, profile)
        config = str(file)
        record = restoring.restore(profile, config=file, remote=options.remote, force=options.force)
    for name, part in record["stored"].items():
        print(f"  {name}: {part['files']} files, {part['bytes'] / 1e6:.1f} MB ({part['pointer']} {part['md5']})")
    differing = record["differing"]
    if differing:
        print(f"{len(differing)} file(s) are not here as the jobs had them, the first is {differing[0]}.")
    print(f"Profile {profile} is back. `snakemake -n --configfile {config}` says what is to be done.")


def bundle(options: argparse.Namespace) -> None:
    """Packs a profile."""
    from distillery.store import bundles, origin

    commit = origin.commit(Path())
    name = commit.name[:12] if commit.name else "unversioned"
    out = options.out or Path("dist", f"{options.profile}-{name}.tar.gz")
    manifest = bundles.write(options.profile, out, config=_config(options, options.profile))
    if manifest.changed:
        print(f"Note: {len(manifest.changed)} file(s) differ from commit {name}, the first is {manifest.changed[0]}.")
    packed, unpacked = out.stat().st_size / 1e6, manifest.bytes / 1e6
    print(f"{out}: {packed:.1f} MB, {len(manifest.files)} files of {unpacked:.1f} MB.")


def _config(options: argparse.Namespace, profile: str) -> Path:
    return Path(options.configfile or Path("config", f"{profile}.yaml"))
