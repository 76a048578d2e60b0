"""The checklists of NeurIPS, of the ACL and of ACM's badges, filled from a finished run.

Questions are paraphrased: NeurIPS Paper Checklist (neurips.cc/public/guides/PaperChecklist), reproducibility checklist
of ACL 2021 (2021.aclweb.org/calls/reproducibility-checklist), ACM Artifact Review and Badging 1.1
(acm.org/publications/policies/artifact-review-and-badging-current). What no run can answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from distillery.audit import answers as say
from distillery.audit import data_answers as data
from distillery.audit.manifest import Manifest
from distillery.audit.run import Answer, Run


class Question(NamedTuple):
    """One line of a checklist."""

    text: str
    answer: Callable[[Run], Answer]


_METHOD = say.documents(
    "yes",
    "Losses, networks and protocols are described with their sources.",
    "docs/decisions.md",
    "docs/architecture.md",
)
_CLAIMS = say.documents(
    "yes", "Each claim has its published value, its test and a tolerance declared in advance.", "config/claims.yaml"
)
_LIMITS = say.documents(
    "yes", "What embedded data cannot show, and what an audit cannot prove, is written down.", "docs/reviewers.md"
)

CHECKLISTS: dict[str, tuple[Question, ...]] = {
    "NeurIPS Paper Checklist": (
        Question("Claims match what was found", _CLAIMS),
        Question("Limitations are discussed", _LIMITS),
        Question(
            "Theoretical results have assumptions and proofs", say.person("There are none in what is regenerated.")
        ),
        Question("All that is needed to reproduce the main results is disclosed", say.configurations),
        Question("Data and code are open, with instructions", say.code),
        Question("Training and test details: splits, hyperparameters, how they were chosen", say.selection),
        Question("Hyperparameters that were chosen by hand", say.tuning),
        Question("Error bars, and what they are", say.uncertainty),
        Question("Compute resources of each experiment and of the whole", say.runtime),
        Question("Workers, memory and libraries", say.infrastructure),
        Question("Code of ethics", say.person("The authors of a paper answer for it.")),
        Question("Broader impacts", say.person("Person search can be used for surveillance; a paper must discuss it.")),
        Question(
            "Safeguards for data or models of high risk of misuse", say.person("The authors of a paper answer for it.")
        ),
        Question("Licences of assets that are used", data.licences),
        Question("New assets are documented", data.collection),
        Question("Crowdsourcing and human subjects; approval of a review board", data.people),
        Question(
            "Use of language models in the method",
            say.person("None is among the jobs; of writing the run knows nothing."),
        ),
    ),
    "ACL reproducibility checklist": (
        Question("Description of the setting, algorithm and model", _METHOD),
        Question("Source code with all dependencies", say.code),
        Question("Computing infrastructure", say.infrastructure),
        Question("Average runtime of each model, or energy", say.runtime),
        Question("Number of parameters of each model", say.sizes),
        Question("Validation performance for each test result", say.validation),
        Question("Definition of the measures", say.measures),
        Question("Exact number of training and evaluation runs", say.runs),
        Question("Bounds of each hyperparameter, and number of trials", say.search),
        Question("Hyperparameters of the best models", say.configurations),
        Question("How hyperparameters were chosen, and by which criterion", say.tuning),
        Question("Summary statistics of results", say.uncertainty),
        Question("Number of examples, label distributions", data.statistics),
        Question("Train, validation and test splits", data.splits),
        Question("Data that were excluded", data.exclusions),
        Question("Languages of the data", lambda run: Answer("does not apply", "There is no language in the data.")),
        Question("Where the data can be had", data.download),
        Question("How new data were collected", data.collection),
    ),
    "ACM badges (version 1.1)": (
        Question(
            "Functional: documented",
            say.documents("yes", "From clone to verdict for a reviewer.", "docs/reviewers.md", "README.md"),
        ),
        Question("Functional: consistent, the artefacts are those of the paper", _CLAIMS),
        Question("Functional: complete", say.artefacts),
        Question("Functional: exercisable", say.exercised),
        Question(
            "Reusable: structured for reuse by others",
            say.documents(
                "partly",
                "Everyone's results can be scored, and other data put in their place; whether that suffices is for "
                "evaluators to judge.",
                "docs/config.md",
                "docs/predictions.md",
            ),
        ),
        Question(
            "Available: in a public archive with a DOI",
            say.person("Archive a bundle of the run and the commit, and give the DOI; no run can do that."),
        ),
        Question(
            "Results reproduced: by others with these artefacts",
            say.person("Others must do it; `distillery audit` and `distillery audit retrain` are made for them."),
        ),
        Question(
            "Results replicated: by others without these artefacts",
            say.person("Others must do it; the report compares with what the papers published."),
        ),
    ),
}


def page(root: Path, manifest: Manifest) -> str:
    """The checklists as Markdown.

    Args:
        root: Top folder of the project.
        manifest: Of the run.
    """
    return "\n".join(_lines(Run(root, manifest))) + "\n"


def _lines(run: Run) -> Iterator[str]:
    content = run.content
    yield f"# Checklists: profile {content['profile']}, {content['target']}"
    yield from (
        "",
        f"Filled from `{run.manifest.path}` and the files that it lists. Each answer names what it rests on.",
    )
    for title, questions in CHECKLISTS.items():
        filled = [(question.text, question.answer(run)) for question in questions]
        yield from ("", f"## {title}", "")
        told = sum(answer.verdict != "not from the run" for _, answer in filled)
        yield f"{told} of {len(filled)} answered by the run; the others are for a person."
        for text, answer in filled:
            yield from ("", f"**{text}** — *{answer.verdict}*. {answer.text}")
            if answer.files:
                yield from ("", "Rests on: " + ", ".join(_cited(run, path) for path in answer.files) + ".")


def _cited(run: Run, path: str) -> str:
    if path.startswith("and "):
        return path
    digest = run.sha256(path)
    return f"`{path}`" + (f" ({digest[:12]})" if digest else "")
