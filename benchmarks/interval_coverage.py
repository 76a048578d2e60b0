"""How often the intervals of the claims hold the truth, over simulated tables of seeds by sequences.

    python benchmarks/interval_coverage.py [--tables 1000]

Value = seed + sequence + rest, each normal with mean 0. An interval of 95 % should hold 0 in 95 of 100 tables.
"""

from __future__ import annotations

import argparse

import numpy as np
from harness import table

from distillery.paper.resampling import sample

SEEDS, CONFIDENCE, RESAMPLES = 3, 0.95, 999
CASES = {
    "seeds alone vary": (1.0, 0.0, 0.0),
    "seeds and the rest": (1.0, 0.0, 1.0),
    "all three alike": (1.0, 1.0, 1.0),
    "sequences most": (0.3, 1.0, 1.0),
    "sequences alone": (0.0, 1.0, 0.0),
}
"""What varies -> standard deviations of seeds, of sequences and of the rest."""


def covered(deviations: tuple[float, float, float], units: int, tables: int) -> list[float]:
    """Shares of tables whose interval holds 0: Student's t, bootstrap, both together."""
    random = np.random.default_rng(2026)
    hits = np.zeros(3)
    for number in range(tables):
        seed, unit, rest = (
            deviation * random.standard_normal(shape)
            for deviation, shape in zip(deviations, [(SEEDS, 1), (1, units), (SEEDS, units)], strict=True)
        )
        drawn = sample([seed + unit + rest], [1.0], RESAMPLES, f"table {number}")
        intervals = drawn.t(CONFIDENCE), drawn.bootstrap(CONFIDENCE), drawn.interval(CONFIDENCE)
        hits += [low <= 0 <= high for low, high in intervals]
    return list(hits / tables)


def main() -> None:
    """Prints one row a case and number of sequences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=1000, help="simulated tables a case")
    options = parser.parse_args()
    rows = [
        [what, units, *(f"{share:.2f}" for share in covered(deviations, units, options.tables))]
        for what, deviations in CASES.items()
        for units in (8, 20)
    ]
    print(table(["what varies", "sequences", "Student's t", "bootstrap", "both"], rows))


if __name__ == "__main__":
    main()
