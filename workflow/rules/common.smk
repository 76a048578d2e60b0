# What the rules share: the parsed profile, folders, names, and the functions that rules call.
import json
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Jobs run this checkout's code with this interpreter, whether it is installed and activated or not.
PACKAGE = Path(workflow.basedir) / "src" / "distillery"
sys.path.insert(0, str(PACKAGE.parent))

from distillery import datasets
from distillery.config import jobs
from distillery.config.base import parse as checked
from distillery.config.paper import variant_name
from distillery.config.profile import Profile
from distillery.errors import UserError
from distillery.sources import closure, environment

os.environ.update(environment())

try:
    PROFILE = checked(Profile, config, source=", ".join(map(str, workflow.configfiles)) or "--config")
except UserError as error:
    raise WorkflowError(str(error)) from None

TRACKING, SEARCH = PROFILE.tracking, PROFILE.person_search
TABLES = ["tracking", "person_search", "differences", "galleries", "attributes", "compute", "published"]
FIGURES = [
    "success",
    "precision",
    "map_over_gallery",
    "bubbles",
    "training_tracking",
    "training_person_search",
    "contact_sheet_tracking",
    "contact_sheet_person_search",
    "qualitative_tracking",
    "ranked_galleries",
]
BENCHMARKS = list(type(PROFILE.data).model_fields)
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


wildcard_constraints:
    benchmark="|".join(BENCHMARKS),
    seed="|".join(map(str, PROFILE.seeds)),
    network="|".join(map(re.escape, SEARCH.networks)),
    run="|".join(map(re.escape, SEARCH.runs)),
    table="|".join(map(re.escape, SEARCH.tables)),
    model="siamfc|oim|reid|baseline",
    searcher="oim|reid",
    variant="[A-Za-z0-9_-]+",


def sources(*modules):
    """Source files that running these modules of the package executes; they are compared by content, never by date."""
    return [os.path.relpath(file) for file in closure(*modules)]


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


def reid_job(wildcards):
    return parameters(jobs.reid_training, int(wildcards.seed))


def lookup_job(wildcards):
    return parameters(jobs.lookup, wildcards.table, int(wildcards.seed))


def search_training_job(wildcards):
    return parameters(jobs.search_training, wildcards.network, wildcards.run, int(wildcards.seed))


def search_job(wildcards):
    return parameters(jobs.search, true_boxes=wildcards.searcher == "reid")


def tracker_training_job(run):
    """Input to `params:` of a run's rule."""

    def job(wildcards):
        return parameters(jobs.tracker_training, run, int(wildcards.seed))

    return job


def tracker_outputs(run, suffix):
    """One file for each network that a run trains."""
    names = [variant_name(network, run) for network in TRACKING.runs[run].networks]
    return expand("<checkpoints>/tracking/siamfc/{name}/seed{{seed}}.{suffix}", name=names, suffix=suffix)


def tracker_teacher(run):
    """The teacher's checkpoint for a run that has a teacher, else nothing."""
    teacher = TRACKING.runs[run].teacher
    return tracker_outputs(teacher, "safetensors") if teacher else []


def tracker_files(run):
    """Input to `params:`: the options that name the files of a run."""

    def options(wildcards, input, output):
        named = [f"{name}={file}" for name, file in zip(TRACKING.runs[run].networks, output.weights)]
        return " ".join([teacher_option(wildcards, input), "--out", *named])

    return options


def lookup_teacher(wildcards):
    """The re-identification teacher, for tables that are made of its features."""
    made = SEARCH.tables[wildcards.table].construction != "random"
    return "<checkpoints>/person_search/reid/teacher/seed{seed}.safetensors" if made else []


def run_table(wildcards):
    """The look-up table of a run that has one, else nothing (plain OIM)."""
    table = SEARCH.runs[wildcards.run].table
    return f"<checkpoints>/person_search/lookup/{table}/seed{{seed}}.safetensors" if table else []


def teacher_option(wildcards, input):
    return f"--teacher {input.teacher}" if input.teacher else ""


def table_option(wildcards, input):
    return f"--table {input.table}" if input.table else ""


def tracker_models():
    """Every trained tracker as model/variant/seed."""
    names = [variant_name(network, name) for name, run in TRACKING.runs.items() for network in run.networks]
    return expand("siamfc/{variant}/seed{seed}", variant=names, seed=PROFILE.seeds)


def search_models():
    """Every trained person-search network as model/variant/seed; the re-identification teacher describes true boxes."""
    names = [variant_name(network, run) for network in SEARCH.networks for run in SEARCH.runs]
    return expand("oim/{variant}/seed{seed}", variant=names, seed=PROFILE.seeds) + expand(
        "reid/teacher/seed{seed}", seed=PROFILE.seeds
    )


def named_networks(wildcards, input):
    """MODEL/VARIANT=CHECKPOINT for each checkpoint."""
    return [f"{Path(file).parent.parent.name}/{Path(file).parent.name}={file}" for file in input.weights]


def baselines(names):
    return expand("baseline/{name}/seed0", name=names)


def checkpoints(suffix, seeds=PROFILE.seeds):
    """Every checkpoint, or the files of another suffix beside them."""
    chosen = tuple(f"seed{seed}" for seed in seeds)
    tracking = [model for model in tracker_models() if model.endswith(chosen)]
    search = [model for model in search_models() if model.endswith(chosen)]
    return expand(f"<checkpoints>/tracking/{{model}}.{suffix}", model=tracking) + expand(
        f"<checkpoints>/person_search/{{model}}.{suffix}", model=search
    )


def of_every_model(kind):
    """The `metrics` or `predictions` of every network and every trivial method on its benchmark."""
    tracking = tracker_models() + baselines(TRACKING.baselines)
    search = search_models() + baselines(SEARCH.baselines)
    return expand(f"<results>/{kind}/otb100/{{model}}.json", model=tracking) + expand(
        f"<results>/{kind}/cuhk_sysu/{{model}}.json", model=search
    )


def folder_of(name):
    """Input to `params:`: the folder of the input files `name`."""

    def folder(wildcards, input):
        return os.path.dirname(input.get(name)[0])

    return folder


def captioned(pattern, names, category):
    """Output files that Snakemake's own report shows, each with the caption of its name."""
    files = []
    for name in names:
        shown = {"caption": f"../report/{name}.rst", "category": category, "labels": {"name": name.replace("_", " ")}}
        files.append(report(pattern.format(name=name), **shown))
    return files
