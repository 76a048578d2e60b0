# What the rules share: the parsed profile, folders, names, and the functions that rules call.
import gc
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Jobs run this checkout's code with this interpreter, whether it is installed and activated or not.
PACKAGE = Path(workflow.basedir) / "src" / "distillery"
sys.path.insert(0, str(PACKAGE.parent))

from distillery import datasets
from distillery.config import jobs, paper
from distillery.config.base import parse as checked
from distillery.config.paper import variant_name
from distillery.config.person_search import tests as search_tests
from distillery.config.profile import Profile
from distillery.config.weights import FILES as IMAGENET_FILES
from distillery.errors import UserError
from distillery.person_search import methods
from distillery.sources import closure, environment
from distillery.tracking import families, scoring
from distillery.tracking.benchmarks import registry

os.environ.update(environment())
# Nothing of a DAG is ever garbage: looking for it seldom saves a tenth of the time in which a large one is built.
gc.set_threshold(500_000, 50, 50)

try:
    PROFILE = checked(Profile, config, source=", ".join(map(str, workflow.configfiles)) or "--config")
except UserError as error:
    raise WorkflowError(str(error)) from None

TRACKING, SEARCH = PROFILE.tracking, PROFILE.person_search
# `snakemake` makes the headline, `snakemake ablations` the rest of the matrix.
TARGETS = ["headline", "ablations"]
HOME = {"headline": "<results>", "ablations": "<results>/ablations"}
TABLES = {target: paper.tables(PROFILE, target) for target in TARGETS}
FIGURES = {target: paper.figures(PROFILE, target) for target in TARGETS}
DATASETS = PROFILE.data.names
# Suffixes of a checkpoint: weights, what they are, and how the training went.
CHECKPOINT = {"weights": ".safetensors", "sidecar": ".json", "curve": ".jsonl"}
THREADS = PROFILE.compute.threads
# All cores of this run; `workflow.cores` would refuse calls that run nothing, such as --unlock or --report.
CORES = workflow.resource_settings.cores or 1


# Every rule names its files by these.
pathvars:
    data=f"data/{PROFILE.profile}",
    checkpoints=f"checkpoints/{PROFILE.profile}",
    results=f"results/{PROFILE.profile}",
    logs=f"logs/{PROFILE.profile}",
    benchmarks=f"results/{PROFILE.profile}/benchmarks",
    recordings=f"recordings/{PROFILE.profile}",


wildcard_constraints:
    benchmark="|".join(DATASETS),
    seed="|".join(map(str, PROFILE.seeds)),
    network="|".join(map(re.escape, SEARCH.networks)),
    table="|".join(map(re.escape, SEARCH.tables)),
    family="|".join(TRACKING.families),
    strategy="policy|random|uniform",
    method="oim|qeeps|detector",
    trained_on="|".join(SEARCH.benchmarks),
    searcher="oim|qeeps|detector|reid|baseline",
    variant="[A-Za-z0-9_-]+",
    teacher_run="[A-Za-z0-9_]+",


@cache  # rules and jobs ask for the same few sets of modules over and over
def source_files(modules):
    return tuple(os.path.relpath(file) for file in closure(*modules))


def sources(*modules):
    """Source files that running these modules of the package executes; they are compared by content, never by date."""
    return list(source_files(modules))


def present(*files):
    """Files of the user's that are there; the job that needs an absent one says so, and a dry run needs none."""
    return [file for file in files if file and Path(file).is_file()]


def begun_with(*files):
    """Weights that networks start from: ImageNet's, which a rule gets, and those of the user's that are there."""
    named = [file for file in files if file]
    return [file for file in named if file in IMAGENET_FILES] + present(*(set(named) - IMAGENET_FILES))


def package_files(folder):
    """Files of the package that are not Python, declared like sources."""
    found = sorted(file for file in (PACKAGE / folder).rglob("*") if file.is_file())
    return [os.path.relpath(file) for file in found]


def parameters(make, *arguments, **options):
    """The resolved parameters of one job as canonical JSON: the job reruns when, and only when, they change."""
    return json.dumps(make(PROFILE, *arguments, **options), sort_keys=True)


def dataset_job(wildcards):
    return parameters(jobs.dataset, wildcards.benchmark)


def dataset_sources(wildcards):
    return sources(*datasets.modules(wildcards.benchmark))


def given(input, *names):
    """`--NAME FILE` for each of these inputs that a job has."""
    return " ".join(f"--{name} {input.get(name)}" for name in names if input.get(name))


def files_of(named):
    """A named input as a list, whether it is one file or several."""
    return [named] if isinstance(named, str) else list(named)


def of_seeds(seeds):
    """Name of the log of a job of these seeds."""
    return "seed{seed}" if "{seed}" in seeds else "seeds"


def options_of(*names):
    """Input to `params:`: the options for these inputs."""
    return lambda wildcards, input: given(input, *names)


def upto(target):
    """The targets that a target's tables and figures show: ablations stand beside the headline."""
    return TARGETS[: TARGETS.index(target) + 1]


def checkpoints(target, suffix, seeds=PROFILE.seeds):
    """Every checkpoint that a target shows, or the files of another suffix beside them."""
    chosen = tuple(f"seed{seed}" for seed in seeds)
    trackers = [model for part in upto(target) for model in tracker_models(part) if model.endswith(chosen)]
    searchers = [model for part in upto(target) for model in search_models(part) if model.endswith(chosen)]
    return expand(f"<checkpoints>/tracking/{{model}}.{suffix}", model=trackers) + expand(
        f"<checkpoints>/person_search/{{model}}.{suffix}", model=searchers
    )
