"""A project's folder with a register of datasets, and a web site beside it."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import yaml

from distillery.config.registry import load_registry
from distillery.data.acquisition import Fetched, fetch
from distillery.data.download import Patience
from distillery.data.pins import Pins
from web_server import Site

NOISE = random.Random(4).randbytes(400_000)


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content)
    return stream.getvalue()


def dog(name: str) -> dict[str, bytes]:
    return {f"{name}/img/0001.jpg": NOISE, f"{name}/groundtruth_rect.txt": b"1,2,3,4\n"}


def row(**own: Any) -> dict[str, Any]:
    """A row of the register, of a set whose sequences are Dog and Cat unless told otherwise."""
    told = {"title": "Pets-2", "used_for": "tests", "page": "https://pets.example", "access": "open", "licence": "none"}
    told |= {"amount": "1 MB", "marks": ["Dog/img", "Cat/groundtruth_rect.txt"], "layout": "NAME/img", "counts": {}}
    return told | {"unverified": "nothing"} | own


class Desk:
    """A project's folder with a register, and a web site beside it."""

    def __init__(self, root: Path, site: Site) -> None:
        self.root, self.site = root, site
        self.registry = root / "config" / "datasets.yaml"
        self.folder = root / "datasets"
        self.registry.parent.mkdir(parents=True)
        self.waits: list[float] = []

    def register(self, **rows: dict[str, Any]) -> None:
        self.registry.write_text(yaml.safe_dump(rows))

    def pets(self, **own: Any) -> None:
        """The open set of two archives."""
        self.site.content |= {f"/{name}.zip": zipped(dog(name)) for name in ("Dog", "Cat")}
        archive = {"name": "{each}.zip", "urls": [self.site.url + "/{each}.zip"], "each": ["Dog", "Cat"]}
        self.register(pets=row(archives=[archive], **own))

    def fetch(self, name: str = "pets", **more: Any) -> Fetched:
        patience = Patience(attempts=2, stall=1.0, sleep=self.waits.append)
        return fetch(
            name,
            self.folder,
            registry=load_registry(self.registry),
            pins=Pins(self.registry),
            **({"patience": patience} | more),
        )

    def tree(self, name: str = "pets") -> dict[str, bytes]:
        root = self.folder / name
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def marker(self, name: str = "pets") -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / f"{name}.fetched.json").read_text())
        return content

    def pins(self) -> Any:
        return json.loads(self.registry.with_suffix(".lock.json").read_text())


PETS = dog("Dog") | dog("Cat")
