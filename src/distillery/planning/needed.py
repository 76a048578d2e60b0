"""What a run needs that is not there and does not come by itself: said once, before the first job."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from distillery.config.data import LocalCopy, RegistryCopy
from distillery.config.profile import Profile
from distillery.config.registry import load_registry
from distillery.config.weights import FILES
from distillery.data.registry_report import DOWNLOADS, missing


class Lack(NamedTuple):
    """Something that is not there.

    Attributes:
        name: What it is.
        how: How to get it, as an imperative.
        comes: Whether the run gets it by itself.
    """

    name: str
    how: str
    comes: bool


def absent(
    profile: Profile, sets: Iterable[str], weights: Iterable[str | Path] = (), *, folder: Path = Path()
) -> list[Lack]:
    """What is not there of the sets and the files of weights that a run reads.

    Looks at a few paths of each set and at nothing else.

    Args:
        profile: Of the run.
        sets: Datasets by name.
        weights: Local files of weights.
        folder: Top folder of the project.
    """
    found = [lack for name in sets for lack in _set(name, getattr(profile.data, name), folder)]
    files = sorted({str(file) for file in weights if not (folder / file).is_file()})
    return found + [
        Lack(file, f"put a file of weights at {file}, or name another in the config", False) for file in files
    ]


def weights_of(profile: Profile) -> list[str]:
    """Files of the user's from which networks of a profile start; ImageNet's weights come by themselves."""
    search = profile.person_search
    made_here = search.pretraining.networks if search.pretraining else ()
    shapes = [shape for name, shape in search.networks.items() if name not in made_here]
    named = {shape.begun().pretrained for shape in (*shapes, search.reid_teacher.shape)}
    for family in profile.tracking.families.values():
        named |= {file for run in family.runs for file in family.pretrained(run).values()}
    return sorted(file for file in named if file and file not in FILES)


def message(lacks: Iterable[Lack]) -> str | None:
    """One message about all that is not there; None if the run can get all of it by itself."""
    every = list(lacks)
    asked = [lack for lack in every if not lack.comes]
    if not asked:
        return None
    lines = [f"{len(asked)} thing{'s' * (len(asked) > 1)} that this run reads must be got first:"]
    lines += [f"  - {lack.name}: {lack.how}." for lack in asked]
    if coming := [lack for lack in every if lack.comes]:
        lines += ["The run gets the rest by itself, or do it before:"]
        lines += [f"  - {lack.name}: {lack.how}." for lack in coming]
    lines += ["Then give the same command again (`distillery fetch --list` says what is there)."]
    return "\n".join(lines)


def _set(name: str, section: Any, folder: Path) -> list[Lack]:
    if not isinstance(section, LocalCopy):
        return []
    root = Path(section.root)
    if not isinstance(section, RegistryCopy):
        how = f"put it, unpacked in its official layout, at {root} (docs/datasets.md)"
        return [] if (folder / root).is_dir() else [Lack(name, how, False)]
    lacks = missing(load_registry(folder / section.registry), [name], folder / root.parent)
    # Archives that somebody has put there are unpacked by the run.
    given = folder / root.parent / DOWNLOADS / name
    provided = given.is_dir() and any(given.iterdir())
    return [Lack(f"{one.title} ({one.name})", one.how, one.access == "open" or provided) for one in lacks]
