"""Listings that publishers keep of the files of a set: read, and turned into rows as the register has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin

import requests
from pydantic import ValidationError

from distillery.config.base import Section, parse
from distillery.config.registry import Archive, Index
from distillery.data.download import Patience, get
from distillery.errors import UserError
from distillery.files import read_json, write_json

_DIGESTS = {32: "md5", 40: "sha1", 64: "sha256"}
_REMEDY = "run the same command again later, or get the set by hand and pass it with --from"


class Listing(Section):
    """What a listing says."""

    files: tuple[Archive, ...]
    """Files in its order."""
    names: tuple[str, ...] = ()
    """Sequences for the set's `list.txt`; empty where the set has none."""


def read_listing(index: Index, kept: Path, patience: Patience) -> Listing:
    """Fetches a listing and reads it.

    Args:
        index: Which.
        kept: File in which it is kept while the set is being fetched, so that a later run goes by the same one.
        patience: How long is waited.

    Raises:
        UserError: If it cannot be had, or is not of the form that the official tools read.
    """
    if kept.is_file():
        return parse(Listing, read_json(kept), source=str(kept))
    try:
        listing = {"vot": _vot, "huggingface": _huggingface}[index.kind](index, patience)
    except (requests.exceptions.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        what = "an entry" if isinstance(error, ValidationError) else type(error).__name__
        raise UserError(
            f"is not a listing of the form that is known ({what}: {' '.join(str(error).split())[:120]})",
            file=index.url,
            remedy=_REMEDY,
        ) from error
    write_json(kept, listing.model_dump(mode="json"))
    return listing


def _vot(index: Index, patience: Patience) -> Listing:
    """`description.json`: for each sequence an archive of its annotations and one of each channel's images."""
    files, names = [], []
    for sequence in get(index.url, patience).json()["sequences"]:
        name = sequence["name"]
        names.append(name)
        parts = {"annotations": (sequence["annotations"], name)}
        parts |= {channel: (told, f"{name}/{channel}") for channel, told in sequence["channels"].items()}
        for part, (told, into) in parts.items():
            url = urljoin(index.url, told["url"])
            files.append(Archive(name=f"{name}-{part}.zip", urls=(url,), into=into, **_digest(told.get("checksum"))))
    return Listing(files=tuple(files), names=tuple(names))


def _digest(checksum: Any) -> dict[str, Any]:
    """A checksum by its length; the official tools do not say which kind it is."""
    text = str(checksum or "").lower()
    return {_DIGESTS[len(text)]: text} if len(text) in _DIGESTS else {}


def _huggingface(index: Index, patience: Patience) -> Listing:
    """The hub's tree of a repository: path and size of each file, and the SHA-256 of those in its large-file store."""
    entries = [entry for folder in index.folders for entry in _tree(index, folder, patience)]
    files = tuple(_hub_file(index, entry) for entry in entries if entry["type"] == "file")
    if not files:
        raise ValueError("it is empty")
    return Listing(files=files)


def _tree(index: Index, folder: str, patience: Patience) -> Iterator[dict[str, Any]]:
    url = f"{index.url}/api/datasets/{index.repository}/tree/{index.revision}/{quote(folder)}?recursive=true"
    seen = set()
    while url and url not in seen:
        seen.add(url)
        reply = get(url, patience)
        yield from reply.json()
        following = reply.links.get("next", {}).get("url")  # the hub names the next page in a header of this one
        url = urljoin(url, following) if following else ""


def _hub_file(index: Index, entry: dict[str, Any]) -> Archive:
    path = PurePosixPath(entry["path"])
    stored = entry.get("lfs") or {}
    known: dict[str, Any] = {"size": entry["size"]} | ({"sha256": stored["oid"]} if stored.get("oid") else {})
    url = f"{index.url}/datasets/{index.repository}/resolve/{index.revision}/{quote(str(path))}"
    return Archive(name="__".join(path.parts), rename=path.name, urls=(url,), into=str(path.parent), **known)
