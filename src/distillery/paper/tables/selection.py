"""What each search for a student found."""

from __future__ import annotations

import pandas as pd

from distillery.config.paper_job import FAMILY_LABELS
from distillery.paper.display import Body, Row, column, number, ratio, text, whole
from distillery.paper.tables.table import Inputs, Table


def _rows(inputs: Inputs) -> list[Row]:
    return [
        {
            "model": search.kind,
            "label": FAMILY_LABELS.get(search.kind, search.kind),
            "strategy": search.strategy,
            "reward": search.reward,
            "accuracy": search.accuracy,
            "teacher_accuracy": search.teacher_accuracy,
            "parameters": search.parameters,
            "size_ratio": search.size_ratio,
            "budget": search.budget,
            "within_budget": search.size_ratio >= search.budget,
            "channels": "-".join(map(str, search.channels)),
            "visited": len(search.visited),
            "trained": sum(visit.accuracy is not None for visit in search.visited),
        }
        for search in inputs.searches
    ]


def _bodies(frame: pd.DataFrame) -> list[Body]:
    return [
        Body(
            (
                text(frame, "Family", "label"),
                text(frame, "Strategy", "strategy"),
                number(frame, "Reward", "reward", 3),
                number(frame, "Accuracy", "accuracy", 3),
                number(frame, "of the teacher", "teacher_accuracy", 3),
                ratio(frame, "Smaller by", "size_ratio"),
                ratio(frame, "Budget", "budget"),
                column(frame, "Within", lambda row: "yes" if str(row["within_budget"]) == "True" else "no", "l"),
                whole(frame, "Parameters", "parameters"),
                text(frame, "Channels", "channels"),
                whole(frame, "Visited", "visited"),
                whole(frame, "Trained", "trained"),
            )
        )
    ]


TABLE = Table(
    title="Student selection",
    caption="The best architecture that each strategy visited within the size budget, one search each with the first "
    "seed. Accuracy is that of the proxy task after a short training on a small set, not tracking accuracy. The "
    "reward is C(2 \N{MINUS SIGN} C) times accuracy over the teacher's, with C one minus the share of the teacher's "
    "parameters. Visited architectures over the budget are not trained.",
    rows=_rows,
    bodies=_bodies,
)
