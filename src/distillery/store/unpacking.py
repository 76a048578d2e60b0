"""Brings a bundle back into a clone: everything is unpacked and verified aside before anything here is replaced."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distillery.data import archives
from distillery.data.room import full_disk, require_room
from distillery.engine.progress import Progress
from distillery.errors import UserError
from distillery.files import atomic_file
from distillery.store import bundles, dvc, history, origin, preflight, publishing
from distillery.store.places import RECORD, parts, targets

_MORE = 2
"""Members beside those of the manifest: itself, and one to see that there are no more."""


def restore(
    bundle: Path, *, profile: str | None = None, force: bool = False, root: Path = Path()
) -> tuple[bundles.Manifest, dict[str, Any]]:
    """Unpacks a bundle aside, verifies every hash, puts the files in their places, and gives DVC and Snakemake theirs.

    Killed at any time, the same call goes on: until all is verified nothing here is touched, and then file after file
    is replaced, each in one step.

    Args:
        bundle: Archive of `bundles.write`.
        profile: Name of the profile that it must be of.
        force: Whether it is taken though this checkout's code is not the one that made it, and whether files of other
            content that lie here may be replaced.
        root: Top folder of the project.

    Returns:
        The manifest of the bundle, and the record of what DVC holds now, with `differing` as in `restoring.restore`.

    Raises:
        UserError: If the bundle is damaged, hostile, of another profile, or of other code; if other files would be
            lost, or the disk is too small. What lies here is then as it was.
    """
    cache = dvc.cache(root, preflight.check(root))
    preflight.check_idle(root)
    manifest = bundles.read(bundle)
    _check_belongs(bundle, manifest, profile)
    if not force:
        _check_code(bundle, manifest, root)
    aside = root / ".dvc" / "tmp" / "restore"
    with _alone(aside), full_disk(bundle, "nothing that lies here is lost"):
        kept = _kept(bundle, manifest, root, force)
        require_room(aside / "tree", manifest.bytes)
        _unpack(bundle, manifest, aside / "tree")
        _verify(bundle, manifest, aside / "tree")
        records = history.unpack(aside / "tree" / bundles.RECORDS, manifest.profile)
        for name in manifest.files:
            if name != bundles.RECORDS and name not in kept:
                _place(aside / "tree" / name, root / name)
        history.write(root, records)
    outs = [home / RECORD for home in targets(manifest.profile, root).values()]
    record = publishing.store(manifest.profile, outs, records, cache, root=root, restored=True)
    return manifest, record | {"differing": history.wake(root, records)}


def _check_belongs(bundle: Path, manifest: bundles.Manifest, profile: str | None) -> None:
    if profile is not None and profile != manifest.profile:
        raise UserError(
            f"is a bundle of profile {manifest.profile}, not of {profile}", file=bundle, remedy="leave out --profile"
        )
    begin = tuple(f"{part.folder}/" for part in parts(manifest.profile))
    for name in manifest.files:
        if name != bundles.RECORDS and (not name.startswith(begin) or {"", ".", ".."} & set(name.split("/"))):
            raise UserError(
                f"holds {name!r}, which is no file of profile {manifest.profile}",
                file=bundle,
                remedy="do not trust it; get the bundle again from who made it",
            )
    if bundles.RECORDS not in manifest.files:
        raise UserError("holds no records of Snakemake's", file=bundle, remedy="have it made again")


def _check_code(bundle: Path, manifest: bundles.Manifest, root: Path) -> None:
    files = origin.differing(root, manifest.code)
    if files:
        what = f"commit {manifest.commit}" if manifest.commit else "code that was not in git"
        if manifest.changed:
            what += f" with changes to {len(manifest.changed)} of its files"
        raise UserError(
            f"was made by {what}; {len(files)} of the files on which its results depend are not so here, the first is "
            f"{files[0]}, and Snakemake would run their jobs again",
            file=bundle,
            remedy=f"`git checkout {manifest.commit or 'that code'}` and run the same command again, or pass --force "
            "to take it nevertheless",
        )


def _kept(bundle: Path, manifest: bundles.Manifest, root: Path, force: bool) -> set[str]:
    """Files that are here already; others of the same names are refused unless `force`."""
    kept, other = set(), []
    with Progress("comparing with what is here", len(manifest.files)) as progress:
        for name, file in manifest.files.items():
            path = root / name
            if path.is_dir():
                raise UserError(f"is a folder, and a file of {bundle.name}", file=path, remedy="move it away")
            if path.exists() and name != bundles.RECORDS and path.name != RECORD:
                if path.stat().st_size == file.bytes and publishing.described(path) == file:
                    kept.add(name)
                else:
                    other.append(name)
            progress.update()
    if other and not force:
        raise UserError(
            f"is not as in {bundle.name}, like {len(other)} file(s) here in all, which would be lost",
            file=root / other[0],
            remedy="move them away, or pass --force to replace them",
        )
    return kept


def _unpack(bundle: Path, manifest: bundles.Manifest, tree: Path) -> None:
    if tree.is_dir():
        shutil.rmtree(tree)  # of a call that was killed
    longest = manifest.bytes + len(bundles.dump(manifest))
    limits = archives.Limits(files=len(manifest.files) + _MORE, bytes=longest, ratio=1100.0)
    try:
        with Progress(f"unpacking {bundle.name}", bundle.stat().st_size) as progress:
            archives.unpack(bundle, tree, limits=limits, progress=progress)
    except UserError as error:
        raise UserError(error.problem, file=bundle, remedy="get the bundle again from who made it") from error


def _verify(bundle: Path, manifest: bundles.Manifest, tree: Path) -> None:
    """Every file of the manifest, byte for byte, and no other."""
    here = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    odd = sorted(here ^ {bundles.MANIFEST, *manifest.files})
    with Progress("verifying", len(manifest.files)) as progress:
        for name, file in manifest.files.items():
            if name in here and publishing.described(tree / name) != file:
                odd.append(name)
            progress.update()
    if odd:
        raise UserError(
            f"does not hold what its manifest says: {odd[0]}" + (f" and {len(odd) - 1} more" if odd[1:] else ""),
            file=bundle,
            remedy="nothing here was touched; get the bundle again",
        )


def _place(new: Path, path: Path) -> None:
    """Puts a file in its place in one step, on another disk too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(new, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_file(path) as temporary:
            shutil.copyfile(new, temporary)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second restore out of the folder, and removes the folder at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "restore.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError("is in use by another restore", file=folder, remedy="wait for its end") from error
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)
