"""Scoring against pysot's toolkit: VOT2018 (accuracy, robustness, EAO) and OTB-100 with six trackers.

    python benchmarks/scoring.py --data path/to/data --pysot path/to/pysot --python path/to/its/python [--rounds 7]

`--data` (or DISTILLERY_SCORING_DATA) holds `anno/VOT2018.json`, `anno/OTB2015.json`, `results/OTB100/KCF` and
`results/VOT2018/TRACKER/baseline`. `--pysot` (or DISTILLERY_PYSOT) is a clone of STVIR/pysot with its region extension
built. Both programs have the ground truth in memory and read the result files; processor seconds of one thread,
without start-up, taken in turns. Fails where the numbers differ.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOW_TO_GET = (
    "clone https://github.com/STVIR/pysot and run `python setup.py build_ext --inplace` there in an environment with "
    "`cython<3 numpy<2 setuptools opencv-python colorama tqdm pillow`; pass the clone and that environment's python"
)
VOT_TRACKERS = ("NanoTrack", "DaSiamRPN")
COPIES = 6
"""Trackers on OTB-100: so many copies of one tracker's results."""


def main() -> None:
    if sys.argv[1:2] == ["--peer"]:
        print(json.dumps(pysot(*map(Path, sys.argv[2:5]))))
        return
    parser = argparse.ArgumentParser(description="Times scoring against pysot's toolkit.")
    parser.add_argument("--data", type=Path, default=os.environ.get("DISTILLERY_SCORING_DATA"))
    parser.add_argument("--pysot", type=Path, default=os.environ.get("DISTILLERY_PYSOT"))
    parser.add_argument("--python", default=os.environ.get("DISTILLERY_PYSOT_PYTHON", sys.executable))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.data is None or options.pysot is None or not (options.pysot / "toolkit").is_dir():
        sys.exit(f"pysot or the data are not there: {HOW_TO_GET}")
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        copy_results(options.data, Path(scratch))
        peer = [options.python, __file__, "--peer", str(options.pysot), str(options.data), scratch]
        ours = prepare(options.data, Path(scratch))
        rounds = []
        for _ in range(options.rounds):
            theirs = json.loads(subprocess.run(peer, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
            rounds.append((theirs, ours()))
    report(rounds)


def copy_results(data: Path, scratch: Path) -> None:
    """KCF's files under the names of the annotation collection, `COPIES` times."""
    names = {plain(name): name for name in json.loads((data / "anno" / "OTB2015.json").read_text())}
    for file in sorted((data / "results" / "OTB100" / "KCF").glob("*.txt")):
        name = names.get(plain(file.stem)) or names[plain(file.stem) + "2"]  # Human4 is human4_2
        lines = file.read_text().splitlines()
        text = "\n".join(lines[5:] if name.lower() == "tiger1" and len(lines) == 354 else lines) + "\n"
        for copy in range(COPIES):
            (scratch / f"KCF{copy}").mkdir(exist_ok=True)
            (scratch / f"KCF{copy}" / f"{name}.txt").write_text(re.sub(r"[\t ]+", ",", text))


def plain(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).casefold()


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    return work(), time.process_time() - began


def prepare(data: Path, scratch: Path) -> Callable[[], dict[str, Any]]:
    """Our side: reads the ground truth once and returns what one round does."""
    from distillery.tracking.benchmarks import registry
    from distillery.tracking.scorers import one_pass, vot
    from distillery.tracking.scorers.base import Truth

    def truth(benchmark: str) -> Truth:
        sequences = registry.load(benchmark, data / "anno", need_frames=False)
        return Truth(benchmark, data / "anno", sequences, [sequence.name for sequence in sequences])

    vot2018, otb100 = truth("vot2018"), truth("otb100")

    def once() -> dict[str, Any]:
        result: dict[str, Any] = {}
        for tracker in VOT_TRACKERS:
            scored, seconds = timed(lambda t=tracker: vot.score(vot2018, data / "results" / "VOT2018" / t, "pysot"))
            numbers = [scored.numbers[key] for key in ("accuracy", "lost", "eao")]
            result[f"VOT2018, {tracker}"] = {"seconds": seconds, "numbers": numbers}
        folders = [scratch / f"KCF{copy}" for copy in range(COPIES)]
        scored, seconds = timed(lambda: [one_pass.score(otb100, folder, "pysot") for folder in folders])
        numbers = [scored[0].numbers[key] for key in ("auc", "precision", "normalized_precision")]
        result[f"OTB-100, {COPIES} trackers"] = {"seconds": seconds, "numbers": numbers}
        return result

    return once


def pysot(root: Path, data: Path, scratch: Path) -> dict[str, Any]:
    """The other side, run by its own Python: the toolkit's benchmark classes on annotations in memory."""
    sys.path.insert(0, str(root))
    import numpy as np
    from toolkit.datasets.video import Video
    from toolkit.datasets.vot import VOTVideo
    from toolkit.evaluation import AccuracyRobustnessBenchmark, EAOBenchmark, OPEBenchmark

    class Collection(list):  # type: ignore[type-arg]
        """What its benchmarks need of a dataset; its own opens every video's first image."""

        def __init__(self, name: str, videos: list[Any], path: Path) -> None:
            super().__init__(videos)
            self.name, self.tracker_path = name, str(path)
            self.by_name = {video.name: video for video in videos}

        def __getitem__(self, key: Any) -> Any:
            return self.by_name[key] if isinstance(key, str) else super().__getitem__(key)

    def video(kind: Any, name: str, entry: dict[str, Any]) -> Any:
        made = kind.__new__(kind)
        made.name, made.pred_trajs, made.gt_traj = name, {}, entry["gt_rect"]
        made.width, made.height = entry.get("width"), entry.get("height")
        made.tags = {"all": [1] * len(entry["gt_rect"])}
        return made

    def read(benchmark: str, kind: Any, path: Path) -> Collection:
        entries = json.loads((data / "anno" / f"{benchmark}.json").read_text())
        return Collection(benchmark, [video(kind, name, entry) for name, entry in entries.items()], path)

    result = {}
    vot2018 = read("VOT2018", VOTVideo, data / "results" / "VOT2018")
    for tracker in VOT_TRACKERS:
        (rates, eao), seconds = timed(
            lambda t=tracker: (AccuracyRobustnessBenchmark(vot2018).eval(t)[t], EAOBenchmark(vot2018).eval(t)[t]["all"])
        )
        overlaps = np.concatenate([np.array(values) for values in rates["overlaps"].values()])
        lost = float(np.sum(list(rates["failures"].values())))
        result[f"VOT2018, {tracker}"] = {"seconds": seconds, "numbers": [float(np.nanmean(overlaps)), lost, float(eao)]}
    benchmark = OPEBenchmark(read("OTB2015", Video, scratch))
    names = [f"KCF{copy}" for copy in range(COPIES)]
    curves, seconds = timed(
        lambda: [
            measure(names)
            for measure in (benchmark.eval_success, benchmark.eval_precision, benchmark.eval_norm_precision)
        ]
    )
    success, precision, normalized = (np.mean(list(curve["KCF0"].values()), axis=0) for curve in curves)
    numbers = [float(success.mean()), float(precision[20]), float(normalized[20])]
    result[f"OTB-100, {COPIES} trackers"] = {"seconds": seconds, "numbers": numbers}
    return result


def report(rounds: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    print("| scoring | pysot, s | here, s | ratio | largest difference of the numbers |")
    print("|---|---|---|---|---|")
    worst = 0.0
    for name in rounds[0][0]:
        theirs, ours = ([side[name]["seconds"] for side in sides] for sides in zip(*rounds, strict=True))
        pairs = zip(rounds[0][0][name]["numbers"], rounds[0][1][name]["numbers"], strict=True)
        difference = max(abs(one - other) for one, other in pairs)
        worst = max(worst, difference)
        ratio = statistics.median(one / other for one, other in zip(theirs, ours, strict=True))
        print(f"| {name} | {middle(theirs)} | {middle(ours)} | {ratio:.1f} | {difference:.1e} |")
    if worst > 1e-6:
        sys.exit("the numbers differ by more than 1e-6")


def middle(seconds: list[float]) -> str:
    """Median, with the range in brackets."""
    return f"{statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


if __name__ == "__main__":
    main()
