"""Compact copies of large protocols: TestG4000.mat takes half a minute to read, its copy (50 MB) a tenth of a second.

They lie in the user's cache folder (`distillery.data.cache`). A copy is named by the hash of the file that it is a copy
of. Copies only save time: where they cannot be written or are damaged, the file itself is read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from distillery.data.cache import cache_folder
from distillery.errors import UserError
from distillery.files import atomic_file, sha256_of_file
from distillery.person_search.benchmarks.base import Protocol, Query

CACHED_FROM = 4 << 20
"""Files of this many bytes and more are cached; TestG500.mat is the first."""
_FORMAT = "v1"  # to be changed with the arrays below


def cached_protocol(file: Path, read: Callable[[], Protocol]) -> Protocol:
    """What `read` makes of a file, from the compact copy where there is one; makes one of a large file.

    Raises:
        UserError: what `read` raises.
    """
    folder = cache_folder()
    if folder is None or not file.is_file() or file.stat().st_size < CACHED_FROM:
        return read()
    copy = folder / "protocols" / _FORMAT / f"{file.stem}-{sha256_of_file(file)}.npz"
    protocol = load_copy(copy)
    if protocol is None:
        protocol = read()
        write_copy(copy, protocol)
    return protocol


def write_copy(copy: Path, protocol: Protocol) -> None:
    """Writes a compact copy if that is possible."""
    try:
        with atomic_file(copy) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream,
                allow_pickle=False,
                name=np.array(protocol.name),
                gallery_size=np.array(protocol.gallery_size),
                query_image=np.array([query.image for query in protocol.queries], np.str_),
                query_box=np.array([query.box for query in protocol.queries], np.float32).reshape(-1, 4),
                query_identity=np.array([query.identity for query in protocol.queries], np.int64),
                images=np.array(protocol.images, np.str_),
                offsets=protocol.offsets,
                entries=protocol.entries,
                positives=protocol.positives,
                positive_boxes=protocol.positive_boxes,
            )
    except (UserError, OSError):  # read-only or full: the next run reads the file itself again
        return


def load_copy(copy: Path) -> Protocol | None:
    """The protocol of a compact copy; None if it is absent or not whole."""
    try:
        with np.load(copy, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        columns = zip(found["query_image"], found["query_box"], found["query_identity"], strict=True)
        protocol = Protocol(
            name=str(found["name"]),
            gallery_size=int(found["gallery_size"]),
            queries=[Query(str(image), box, int(identity)) for image, box, identity in columns],
            images=found["images"].tolist(),
            offsets=found["offsets"],
            entries=found["entries"],
            positives=found["positives"],
            positive_boxes=found["positive_boxes"],
        )
        return protocol if _consistent(protocol) else None
    except Exception:  # zip and header parsers raise many types on damaged bytes; the file itself is read then
        return None


def _consistent(protocol: Protocol) -> bool:
    entries, positives = protocol.entries, protocol.positives
    return bool(
        len(protocol.offsets) == len(protocol.queries) + 1
        and protocol.offsets[0] == 0
        and (np.diff(protocol.offsets) >= 0).all()
        and protocol.offsets[-1] == len(entries)
        and (not len(entries) or (entries.min() >= 0 and entries.max() < len(protocol.images)))
        and (np.diff(positives) > 0).all()
        and (not len(positives) or (positives[0] >= 0 and positives[-1] < len(entries)))
        and protocol.positive_boxes.shape == (len(positives), 4)
    )
