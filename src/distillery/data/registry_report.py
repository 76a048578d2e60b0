"""What the register says to people: which sets are absent and how to get them, and the page docs/datasets.md.

`python -m distillery.data.registry_report docs/datasets.md` writes the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from distillery.config.registry import Access, RegisteredSet, Registry, load_registry
from distillery.data.layout import holds
from distillery.files import write_text

DOWNLOADS = "downloads"
"""Folder beside the sets in which archives lie, those that arrive by themselves and those put there by hand."""


class Missing(NamedTuple):
    """A set that is not there."""

    name: str
    title: str
    access: Access
    how: str
    """How to get it, as an imperative without a full stop."""


def missing(registry: Registry, names: Iterable[str], folder: Path) -> list[Missing]:
    """The sets among `names` that are not whole in `folder`, in the order of `names`.

    Looks at a few paths of each set (its `marks`) and at nothing else: no network, no image. Whether a set is sound is
    for `distillery check` to say.

    Args:
        registry: The register.
        names: Names or titles of sets.
        folder: Folder in which each set lies under its name.

    Raises:
        UserError: If a name is not registered.
    """
    absent = []
    for name in names:
        key, row = registry.find(name)
        if not holds(folder / key, row.marks):
            absent.append(Missing(key, row.title, row.access, how_to_get(key, row, folder)))
    return absent


def how_to_get(name: str, row: RegisteredSet, folder: Path) -> str:
    """One imperative: where to ask, what to download, where to put it and which command to run then."""
    command = f"`distillery fetch {name}`" if str(folder) == "datasets" else f"`distillery fetch {name} --to {folder}`"
    if row.access == "open":
        return f"run {command} ({row.amount})"
    return (
        f"{row.ask}; put it into {folder / DOWNLOADS / name} and run {command}"
        f" (or `--from` with the path of an archive or of an unpacked copy)"
    )


_HEAD = """# Datasets

What `config/datasets.yaml` says of the real datasets, and how they are got. [data.md](data.md) says how they are read.

```sh
distillery fetch --list                      # all sets, and which are there
distillery fetch coco                        # from the web, or one sentence that says where to ask
distillery fetch got10k --from full_data.zip # an archive, or a folder of archives: unpacked and otherwise left alone
distillery fetch lasot --from /data/LaSOT    # an unpacked copy in the official layout: linked, never copied or changed
distillery fetch prw --from-dvc              # what `dvc add datasets/prw` stored; --from-dvc REV: that of a revision
```

A set lies in `datasets/NAME` (`--to` chooses another folder), and `datasets/NAME.fetched.json` says what it was made
of. A set that is there is left alone, so the same command can be given again at any time. The workflow gives it for
every set with `source: registry` in the config.

- **Stopped** by a broken connection, a full disk, Ctrl-C or a kill, the command goes on where it was when it is given
  again. What has arrived lies in `datasets/downloads/NAME`, what is unpacked in `datasets/.NAME.partial`; both go when
  the set is whole (`--keep` keeps the archives; what you put there yourself always stays).
- **Another content** than the register or `config/datasets.lock.json` says is refused with both hashes and is not used.
  The lock file holds size and SHA-256 of every archive since its first use: commit it, and everybody gets equal bytes.
- **Unpacking** refuses archives that reach out of their folder, hold links or devices, a name twice, or far more than
  they seem to. 7z and rar are not unpacked: do it by hand and pass the folder.
- **Soundness** is another question: `distillery check` looks at every file.

This page is made of the register by `python -m distillery.data.registry_report docs/datasets.md`.

"""


def markdown(registry: Registry) -> str:
    """The page: a table of all sets, and a section for each."""
    lines = ["| name | set | used for | access | download | hashes |", "|---|---|---|---|---|---|"]
    for name, row in registry.sets.items():
        link = f"[{row.title}](#{_anchor(row.title)})"
        lines.append(f"| `{name}` | {link} | {row.used_for} | {row.access} | {row.amount} | {_known(row)} |")
    sections = [_section(name, row) for name, row in registry.sets.items()]
    return _HEAD + "\n".join([*lines, ""]) + "\n" + "\n".join(sections)


def _section(name: str, row: RegisteredSet) -> str:
    counts = ", ".join(f"{value:,} {key.replace('_', ' ')}" for key, value in row.counts.items())
    get = f"`distillery fetch {name}`" if row.access == "open" else how_to_get(name, row, Path("datasets"))
    facts = {
        "Official page": f"<{row.page}>",
        "Access": row.access,
        "How to get it": get if row.access != "open" or not row.ask else f"{get}; {row.ask}",
        "Files": _files(row),
        "Licence": row.licence,
        "Layout": row.layout,
        "A whole copy holds": counts,
        "Not verified": row.unverified,
    }
    return "\n".join([f"## {row.title}", "", *(f"- {key}: {text}" for key, text in facts.items()), ""])


def _files(row: RegisteredSet) -> str:
    parts = [
        f"`{archive.name}`" + (f" ({len(archive.each)} files)" if archive.each else "") for archive in row.archives
    ]
    if row.index is not None:
        of = f", {row.index.repository}" if row.index.repository else ""
        parts.append(f"those of a listing at <{row.index.url}>{of}")
    return ", ".join(parts)


def _known(row: RegisteredSet) -> str:
    """Which hashes are known before the first use."""
    if row.index is not None:
        return "from the publishers' listing, and pinned"
    kinds = {
        kind
        for archive in row.archives
        for kind in ("sha256", "sha256_prefix", "sha1", "md5")
        if getattr(archive, kind) is not None
    }
    words = {"sha256": "SHA-256", "sha256_prefix": "first digits of SHA-256", "sha1": "SHA-1", "md5": "MD5"}
    return ", ".join(words[kind] for kind in words if kind in kinds) or "pinned at first use"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def main(arguments: list[str]) -> None:
    """Writes the page to the path given, or prints it."""
    page = markdown(load_registry())
    if arguments:
        write_text(Path(arguments[0]), page)
    else:
        sys.stdout.write(page)


if __name__ == "__main__":
    main(sys.argv[1:])
