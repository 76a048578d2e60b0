"""Copies of the project on which the workflow's behaviour is tried out, run by this test's own interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_BUILT = {".git", ".venv", ".snakemake", "data", "checkpoints", "logs", "datasets", "build", "dist", "__pycache__"}


def project_files() -> list[Path]:
    """Relative paths of the files that git has or would add; without git, of all but what a run writes."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        files = {Path(line) for line in listed.stdout.splitlines()}
    else:
        found = (path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*"))
        files = {path for path in found if not _BUILT & set(path.parts)}
        files = {path for path in files if path.parts[0] != "results" or path.name == "README.md"}
    return sorted(path for path in files if (REPOSITORY / path).is_file())


def environment() -> dict[str, str]:
    """The running environment, as a job of the copy shall see it; nothing of this checkout's own path leaks in."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return variables | {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Project:
    """A copy of the project in a folder of its own."""

    root: Path

    @classmethod
    def copy(cls, root: Path) -> Project:
        for file in project_files():
            target = root / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / file, target)  # new dates: a clone has the dates of its checkout
        return cls(root)

    def snakemake(self, *arguments: str, check: bool = True, timeout: float = 120) -> str:
        """Standard output and error of a `snakemake` call in the copy."""
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.root,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def jobs(self, *arguments: str) -> dict[str, int]:
        """What a dry run would do: rule -> number of jobs, without `all`; empty for "Nothing to be done"."""
        said = self.snakemake("--dry-run", *arguments)
        if "Nothing to be done" in said:
            return {}
        table = said.split("Job stats:")[1].split("total")[0]
        rows = [line.split() for line in table.splitlines()]
        counts = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
        return {rule: count for rule, count in counts.items() if rule != "all"}

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) >= 1, f"{file} no longer holds {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def append(self, file: str, text: str = "\n# edited\n") -> None:
        with (self.root / file).open("a", encoding="utf-8") as stream:
            stream.write(text)


def of_person_search(jobs: dict[str, int]) -> set[str]:
    """The jobs that are the second paper's alone."""
    own = ("pretrain", "train_reid", "train_search_", "lookup_", "search_", "score_cuhk", "score_prw", "feature_space")
    return {name for name in jobs if name.startswith(own)}


def of_trainings(jobs: dict[str, int]) -> dict[str, int]:
    """Run of person search -> how many jobs train it."""
    start = "train_search_"
    return {name.removeprefix(start): number for name, number in jobs.items() if name.startswith(start)}
