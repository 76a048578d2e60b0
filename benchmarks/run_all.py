"""Runs every benchmark and writes what was measured, each ratio beside its target.

    python benchmarks/run_all.py --peers FOLDER [--data FOLDER --python PYTHON] [--out RESULTS.md] [--only TITLE …]

`--peers` holds the clones siamfc-pytorch, toolkit (got-10k's), pysot and SeqNet; `--data` is what the scoring scripts
read, `--python` scoring.py's.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from harness import add_clone, environment, table

HERE = Path(__file__).resolve().parent
CLONES = ("siamfc-pytorch", "toolkit", "pysot", "SeqNet")
PEERS = "--siamfc-pytorch $PEERS/siamfc-pytorch --got10k $PEERS/toolkit --pysot $PEERS/pysot"


class Target(NamedTuple):
    """What is wanted of a number: that of the table, row and column whose heads begin so."""

    table: str
    row: str
    column: str
    least: float | None = None
    most: float | None = None


class Section(NamedTuple):
    """One run of a script."""

    title: str
    command: str
    """Behind `python benchmarks/`; $PEERS, $DATA and $PYTHON stand for what the driver is given."""
    targets: tuple[Target, ...] = ()
    alone: bool = False
    """Whether it makes up its own data where `--data` is not given."""


FPS = (Target("tracker", "siamfc-pytorch", "time / ours", 1.3), Target("tracker", "pysot", "time / ours", 1.2))
PAIRS = (
    *(Target("SiamFC", f"distillery, {how}", "times", 10) for how in ("new", "kept")),
    *(Target("SiamRPN", f"distillery, {how}", "times", 2) for how in ("new", "kept")),
)
SHARDS = (
    Target("crops/s", "objects of", "times", 3),
    Target("pairs/s", "objects of", "times", 2),
)
JOINT = (Target("students", "both", "share", most=0.75),)
STILLS = "--size 640x480 --shares 0.03-0.5 --objects 7"
"""As COCO: seven objects in a picture."""
SCORING = (Target("scoring", "VOT2018", "ratio", 3), Target("scoring", "OTB-100", "here", most=1))
SEARCH_SCORING = (
    Target("scoring", "CUHK-SYSU, galleries of 100", "ratio", 30),
    Target("scoring", "CUHK-SYSU, galleries of 4000", "ratio", 60),
    Target("scoring", "PRW", "ratio", 100),
    *(Target("memory", benchmark, "peak", most=2000) for benchmark in ("CUHK-SYSU", "PRW")),
    *(Target("gallery", count, "relative", most=1.3) for count in ("164,000", "328,000")),
)
OIM = (Target("OIM step", "CUHK-SYSU", "ratio", 3),)
SEARCH = (Target("network", "SeqNet", "time / ours", 1.1),)
SECTIONS = (
    Section("Frames a second, one thread", f"tracking_fps.py {PEERS} --threads 1", FPS),
    Section("Frames a second, two threads", f"tracking_fps.py {PEERS} --threads 2", FPS),
    Section("Training pairs", f"training_pairs.py {PEERS} --rounds 9", PAIRS),
    Section("Training pairs of large frames", f"training_pairs.py {PEERS} --size 1920x1080 --rounds 5", PAIRS),
    Section("Crops of a training set in shards", "crop_shards.py --pysot $PEERS/pysot", SHARDS),
    Section("Crops of small pictures in shards", f"crop_shards.py --pysot $PEERS/pysot {STILLS}", SHARDS),
    Section("Two students in one job, mini", "joint_students.py --size mini", JOINT),
    Section("Two students in one job, published size", "joint_students.py --size published", JOINT),
    Section("Dim student and teacher", "dim_speed.py", (Target("family", "dim", "times the teacher", 3),)),
    Section("SiamRPN++ and pysot", "siamrpnpp_parity.py $PEERS/pysot --threads 1"),
    Section("Scoring", "scoring.py --data $DATA --pysot $PEERS/pysot --python $PYTHON", SCORING),
    Section(
        "Scoring person search",
        "person_search_scoring.py --seqnet $PEERS/SeqNet --data $DATA",
        SEARCH_SCORING,
        alone=True,
    ),
    *(
        Section(
            f"A step of Online Instance Matching, {count} thread{ending}",
            f"person_search_oim.py --seqnet $PEERS/SeqNet --threads {count}",
            OIM,
        )
        for count, ending in ((1, ""), (2, "s"))
    ),
    Section("Searching an image", "person_search_inference.py --seqnet $PEERS/SeqNet --threads 2", SEARCH),
    Section("Coverage of the claims' intervals", "interval_coverage.py"),
    Section("Forward on a GPU", "gpu.py"),
    Section("Person search on a GPU", "person_search_gpu.py"),
)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--peers", type=Path, required=True, help=f"folder of the clones {', '.join(CLONES)}")
    parser.add_argument("--data", type=Path, help="annotations and results for scoring.py, left out without them")
    parser.add_argument("--python", default=sys.executable, help="Python in which pysot's toolkit runs, for scoring.py")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md", help="default: RESULTS.md beside this script")
    parser.add_argument(
        "--only", nargs="+", help="beginnings of titles: of the other sections what RESULTS.md says stays"
    )
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    options = parser.parse_args()
    values = {"$PEERS": str(options.peers), "$DATA": str(options.data), "$PYTHON": options.python}
    sections = [_without_data(section) if options.data is None else section for section in SECTIONS]
    wanted = [section for section in sections if section.title.startswith(tuple(options.only or [""]))]
    if not wanted:
        parser.error(f"no section begins with {' or '.join(options.only)}: {', '.join(s.title for s in sections)}")
    chosen = [section for section in wanted if not _obstacle(section, options.data)]
    if options.list:
        print(
            "\n".join(shlex.join(["python", f"benchmarks/{words[0]}", *words[1:]]) for words in _words(chosen, values))
        )
        return 0
    commits = ", ".join(f"{name} {add_clone(options.peers / name)}" for name in CLONES)
    kept = _written(options.out) if options.only else {}
    text, failed = [f"# Results\n\nWritten by `run_all.py`. {environment()} Peers: {commits}.\n"], 0
    if options.only:
        text.append("Not all sections were measured at once: each names its machine and libraries.\n")
    for section in sections:
        if section not in wanted:
            text += [kept[section.title]] if section.title in kept else []
            continue
        text.append(f"## {section.title}\n\n```sh\npython benchmarks/{section.command}\n```\n")
        if obstacle := _obstacle(section, options.data):
            text.append(f"Not measured: {obstacle}.\n")
        else:
            (words,) = _words([section], values)
            done = subprocess.run([sys.executable, str(HERE / words[0]), *words[1:]], stdout=subprocess.PIPE, text=True)
            failed += done.returncode != 0
            text += shown(done.stdout, done.returncode, section.targets)
        later = [kept[one.title] for one in sections[sections.index(section) + 1 :] if one.title in kept]
        # What was measured stays if a later script stops.
        options.out.write_text("\n".join(text + later), encoding="utf-8")
    return 1 if failed else 0


def _written(file: Path) -> dict[str, str]:
    """Title -> text of each section that a file of results holds."""
    parts = re.split(r"(?m)^## ", file.read_text(encoding="utf-8") if file.is_file() else "")[1:]
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}


def shown(output: str, status: int, targets: tuple[Target, ...]) -> list[str]:
    """A section's text: what the script printed, its failure if it failed, and the targets."""
    printed = re.sub(r"\A`.*`\n+", "", output).rstrip()  # its own line of the command
    parts = [printed + "\n" if "\n|" in f"\n{printed}" else f"```text\n{printed}\n```\n"]
    if status:
        parts.append(f"**Failed**, exit status {status}.\n")
    rows = [line for target in targets for line in verdicts(output, target)]
    return [*parts, table(["target", "measured", "wanted", "verdict"], rows)] if rows else parts


def verdicts(output: str, target: Target) -> list[list[str]]:
    """A line for every number in the printed tables that a target speaks of."""
    found, head = [], [""]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] if line[:1] == "|" else [] for line in output.split("\n")
    ]
    for before, cells in zip([[], *lines], lines, strict=False):
        head = cells if cells and not before else head
        named = any(cell.startswith(target.row) for cell in cells[:2])
        if cells and cells is not head and head[0].startswith(target.table) and named:
            column = next(n for n, name in enumerate(head) if name.startswith(target.column))
            value = float(cells[column].split()[0])
            met = value >= target.least if target.least is not None else value <= (target.most or 0)
            wanted = f"at least {target.least:g}" if target.least is not None else f"at most {target.most:g}"
            label = ", ".join(cells[:2]) if target.table == "family" else f"{head[0]}: {cells[0]}"
            found.append([f"{label}, {head[column]}", cells[column], wanted, "met" if met else "**not met**"])
    return found


def _words(sections: list[Section], values: dict[str, str]) -> list[list[str]]:
    pattern = re.compile("|".join(map(re.escape, values)))
    return [
        [pattern.sub(lambda match: values[match[0]], word) for word in section.command.split()] for section in sections
    ]


def _without_data(section: Section) -> Section:
    return section._replace(command=section.command.replace(" --data $DATA", "")) if section.alone else section


def _obstacle(section: Section, data: Path | None) -> str:
    if "$DATA" in section.command and data is None:
        return "`--data` was not given"
    wants_gpu = section.command.split()[0].endswith("gpu.py")
    return "torch finds no GPU here" if wants_gpu and not torch.cuda.is_available() else ""


if __name__ == "__main__":
    sys.exit(main())
