"""A whole profile (`config/<profile>.yaml`): what `snakemake` reads once and hands out in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, model_validator

from distillery.config.base import Section, parse
from distillery.config.data import Data
from distillery.config.person_search import PersonSearch
from distillery.config.plain_yaml import load_yaml
from distillery.config.tracking import Tracking
from distillery.config.training import Compute
from distillery.errors import UserError


class Profile(Section):
    """One budget: `smoke` (tests), `mini` (default) or `paper`."""

    profile: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    """Name; the folder under data/, checkpoints/ and results/."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    """Seeds of every training; 0, 1, 2 and so on, never chosen."""
    compute: Compute = Compute()
    """Where the jobs compute."""
    data: Data
    """Datasets."""
    tracking: Tracking
    """First paper."""
    person_search: PersonSearch
    """Second paper."""

    @model_validator(mode="after")
    def _seeds(self) -> Profile:
        if self.seeds != tuple(range(len(self.seeds))):
            raise ValueError("seeds are 0, 1, 2 and so on without a gap: they are counted, never chosen")
        return self

    @model_validator(mode="after")
    def _benchmarks(self) -> Profile:
        absent = [name for name in self.tracking.benchmarks if name not in self.data.names]
        if absent:
            raise ValueError(f"tracking.benchmarks names {absent[0]!r}, but data.{absent[0]} is not there")
        return self

    @model_validator(mode="after")
    def _sources(self) -> Profile:
        for name, family in self.tracking.families.items():
            for source in family.pairs.sources:
                if source.name not in self.data.names:
                    raise ValueError(
                        f"tracking.{name}.pairs.sources names {source.name!r}, but data.{source.name} is not there"
                    )
        return self

    @model_validator(mode="after")
    def _teachers(self) -> Profile:
        for name, family in self.tracking.families.items():
            for run in family.runs.values():
                if run.teacher_seed is not None and run.teacher_seed not in self.seeds:
                    raise ValueError(
                        f"tracking.{name} wants a teacher of seed {run.teacher_seed}, which is no seed here"
                    )
        return self

    @model_validator(mode="after")
    def _pretraining(self) -> Profile:
        pretraining = self.person_search.pretraining
        for name in self.data.names if pretraining else ():
            if pretraining and getattr(getattr(self.data, name), "seed", None) == pretraining.data.seed:
                raise ValueError(
                    f"person_search.pretraining.data.seed is that of data.{name}, whose people it would show"
                )
        return self


def load(path: str | Path) -> Profile:
    """Reads a profile file.

    Raises:
        UserError: If the file is missing, is not YAML, or holds an unknown key or a wrong type.
    """
    try:
        raw: Any = load_yaml(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError("does not exist", file=path, remedy="pass one of config/*.yaml") from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path, remedy="pass one of config/*.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else None
        reason = f" ({error.problem})" if isinstance(error, yaml.MarkedYAMLError) and error.problem else ""
        raise UserError(f"is not valid YAML{reason}", file=path, place=place, remedy="correct the syntax") from error
    return parse(Profile, raw, source=str(path))


def schema() -> dict[str, Any]:
    """JSON schema of a profile file, generated from the types."""
    return Profile.model_json_schema()
