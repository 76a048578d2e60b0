"""The register of the real datasets (`config/datasets.yaml`): where each comes from, what it is, how it is laid out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, Field, model_validator

from distillery.config.base import Section, parse
from distillery.config.plain_yaml import load_yaml
from distillery.errors import UserError

DEFAULT = Path("config/datasets.yaml")
"""The register of this project, from its top folder."""

Access = Literal["open", "form", "e-mail", "by hand"]
UNPACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Ends of the names of files that are unpacked; any other file is kept as it is."""


def _below(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError("must be a path below the set's folder")
    return path


Below = Annotated[str, AfterValidator(_below)]
Address = Annotated[str, Field(pattern=r"^https?://")]


class Archive(Section):
    """A file that holds a set or a part of it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._{}-]+$")]
    """Name of the file; `{each}` stands for every entry of `each`."""
    urls: tuple[Address, ...] = ()
    """Where it can be had without asking: the publishers first, then mirrors, tried in this order."""
    into: Below = "."
    """Folder of the set into which it is unpacked or put."""
    rename: Annotated[str, Field(pattern=r"^[^/\\]*[^/\\.][^/\\]*$")] | None = None
    """Name that it bears in the set, where that is another."""
    size: Annotated[int, Field(ge=0)] | None = None
    """Length in bytes, where a source tells it."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 in hex, where a source tells it; else it is pinned at first use."""
    sha256_prefix: Annotated[str, Field(pattern=r"^[0-9a-f]{8,63}$")] | None = None
    """First digits of the SHA-256, where the file's official name carries them."""
    sha1: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """SHA-1 in hex, where only that is told."""
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """MD5 in hex, where only that is told."""
    each: tuple[str, ...] = ()
    """Entries for which `{each}` stands in `name`, `urls` and `into`: one file for each."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.each) != ("{each}" in self.name):
            raise ValueError("{each} in the name and a list under `each` go together")
        if self.each and any((self.size, self.sha256, self.sha256_prefix, self.sha1, self.md5)):
            raise ValueError("size and hashes are those of one file, not of `each`")
        return self

    @property
    def files(self) -> tuple[Archive, ...]:
        """The single files: one for each entry of `each`, or this one."""
        return tuple(self._one(entry) for entry in self.each) or (self,)

    def _one(self, entry: str) -> Archive:
        return Archive(
            name=self.name.replace("{each}", entry),
            urls=tuple(url.replace("{each}", entry) for url in self.urls),
            into=self.into.replace("{each}", entry),
        )

    @property
    def path(self) -> str:
        """Where it lies below the set's folder, or would if it were not unpacked."""
        return str(PurePosixPath(self.into, self.rename or self.name))

    @property
    def packed(self) -> bool:
        """Whether it is unpacked rather than kept."""
        return self.name.lower().endswith(UNPACKED)


class Index(Section):
    """A listing, kept by the publishers, of the files that make up a set."""

    kind: Literal["vot", "huggingface"]
    """`vot`: a `description.json` of the VOT challenges; `huggingface`: folders of a dataset repository."""
    url: Address
    """Address of the `description.json`, or of the hub."""
    repository: str | None = None
    """`owner/name` of a repository on the hub."""
    revision: str = "main"
    """Branch, tag or commit of the repository."""
    folders: tuple[Below, ...] = ()
    """Folders of the repository that are wanted, all files below them."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind == "huggingface") != bool(self.repository and self.folders):
            raise ValueError("repository and folders belong to an index of kind huggingface, and it needs both")
        return self


class Inner(Section):
    """What happens to archives within archives, and to those whose name the register does not list."""

    match: str
    """Pattern (`*`, `?`) for the path of the archive below the set's folder."""
    into: str
    """Folder into which it is unpacked: `{folder}` is the folder it lies in, `{stem}` its name without the suffix."""


class RegisteredSet(Section):
    """One dataset, as its publishers give it away."""

    title: str
    """Its usual name."""
    used_for: str
    """What it serves here."""
    page: Address
    """Official page."""
    access: Access
    """`open`: fetched without asking; `form` and `e-mail`: asked for; `by hand`: open, by the publishers' own tools."""
    ask: str | None = None
    """Where and how to ask, and what to download, as an imperative; needed unless access is open."""
    licence: str
    """What the publishers say about use."""
    amount: str
    """About how much is downloaded, in words."""
    archives: tuple[Archive, ...] = ()
    """Files that make up the set."""
    index: Index | None = None
    """A listing of further files."""
    inner: tuple[Inner, ...] = ()
    """Archives within archives; the first pattern that fits holds."""
    moves: dict[Below, Below] = Field(default_factory=dict)
    """What lies elsewhere in the archives than in the layout: pattern of a path -> where it belongs."""
    marks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Patterns of paths that the root of the set holds (`a | b`: one of both); the folder with all becomes the root."""
    layout: str
    """What lies where below the root."""
    counts: dict[str, int]
    """What a whole copy holds, by name."""
    convert: Literal["safetensors"] | None = None
    """`safetensors`: weights in torch's format are rewritten, so that no job reads them through pickle."""
    unverified: str
    """What of this row was not checked against the publishers' own files."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.access == "open" and not self.index and not any(archive.urls for archive in self.archives):
            raise ValueError("an open set needs archives with addresses, or an index")
        if self.access != "open" and not self.ask:
            raise ValueError("`ask` must say where and how to get a set that is not open")
        names = [file.name.lower() for archive in self.archives for file in archive.files]
        if len(set(names)) < len(names):
            raise ValueError("two archives have the same name")
        return self

    @property
    def files(self) -> tuple[Archive, ...]:
        """All single files that the register itself lists."""
        return tuple(file for archive in self.archives for file in archive.files)


class Registry(Section):
    """All datasets by the name under which the config and the commands know them."""

    sets: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], RegisteredSet]
    """Name -> row; a set lies in the folder of this name."""

    def find(self, name: str) -> tuple[str, RegisteredSet]:
        """Name and row of a set; upper case, `-` and `_` do not matter, and the title is as good as the name.

        Raises:
            UserError: If there is none, with the nearest.
        """
        known = {_plain(key): key for key in self.sets} | {_plain(row.title): key for key, row in self.sets.items()}
        if _plain(name) in known:
            key = known[_plain(name)]
            return key, self.sets[key]
        near = difflib.get_close_matches(_plain(name), known, n=1, cutoff=0.0)
        raise UserError(
            f"no dataset {name!r} is registered",
            remedy=f"did you mean `{known[near[0]]}` (`distillery fetch --list` shows all)" if near else "add a row",
        )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def load_registry(path: str | Path = DEFAULT) -> Registry:
    """Reads a register.

    Raises:
        UserError: If the file is missing, is no YAML, or a row is faulty; the key is named.
    """
    file = Path(path)
    try:
        value = load_yaml(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            "does not exist", file=file, remedy="run in the project's top folder, or name another with --registry"
        ) from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=file, remedy="check its permissions") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"is not valid YAML ({reason})", file=file, remedy="correct it") from error
    return parse(Registry, {"sets": value} if isinstance(value, Mapping) else value, source=str(file))
