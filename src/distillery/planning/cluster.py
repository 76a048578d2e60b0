"""What a run is simulated on (`config/cluster.yaml`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from distillery.config.base import Section, parse
from distillery.errors import UserError


class Cards(Section):
    """GPUs of one kind."""

    name: str
    """What they are called."""
    count: Annotated[int, Field(ge=1)]
    """How many."""
    speed: Annotated[float, Field(gt=0)] = 1.0
    """How many times faster than the unit of the table of estimates."""
    memory_gb: Annotated[float, Field(gt=0)]
    """Memory of one."""


class Cluster(Section):
    """Machines as one pool."""

    cores: Annotated[int, Field(ge=1)]
    """Cores of all machines together."""
    memory_gb: Annotated[float, Field(gt=0)]
    """Main memory of all together."""
    wait: Annotated[float, Field(ge=0)] = 0.0
    """Seconds that each job waits before it starts."""
    gpus: tuple[Cards, ...] = ()
    """GPUs."""

    @property
    def speeds(self) -> list[float]:
        """Speed of every GPU, the fastest first."""
        return sorted((cards.speed for cards in self.gpus for _ in range(cards.count)), reverse=True)


def load_cluster(path: str | Path) -> Cluster:
    """Reads a description.

    Raises:
        UserError: If the file is missing, is no YAML, or holds an unknown key or a wrong type.
    """
    file = Path(path)
    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(
            f"cannot be read ({reason})", file=file, remedy="describe a cluster as config/cluster.yaml does"
        ) from error
    return parse(Cluster, value, source=str(file))
