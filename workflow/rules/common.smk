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


def tracker_runs():
    """(family, run) of every tracker training."""
    return [(name, run) for name, family in TRACKING.families.items() for run in family.runs]


def tracker_training_job(family, run):
    """Input to `params:` of a run's rule."""

    def job(wildcards):
        return parameters(jobs.tracker_training, family, run, int(wildcards.seed))

    return job


def crops_job(wildcards):
    return parameters(jobs.crops, wildcards.family)


def recording_job(wildcards):
    return parameters(jobs.teacher_recording, wildcards.family, wildcards.teacher_run, int(wildcards.seed))


def family_sources(wildcards):
    return sources(*families.training_modules(wildcards.family))


def tracker_sources(wildcards):
    """Readers and the family's modules are imported by name, so the import graph of the command does not show them."""
    return sources(*families.tracking_modules(wildcards.family), *registry.modules(*TRACKING.benchmarks))


def scoring_sources(wildcards):
    return sources("distillery.tracking.scoring", "distillery.tracking.indices", *scoring.modules(wildcards.benchmark))


def selection_sources(wildcards):
    return sources("distillery.tracking.selecting", *families.training_modules(wildcards.family))


def teacher_run_of(family):
    """The first run of a family that teaches others."""
    taught = [run.teacher for run in TRACKING.families[family].runs.values() if run.teacher]
    return taught[0] if taught else next(iter(TRACKING.families[family].runs))


def selection_teacher(wildcards):
    """The teacher to which the search compares, of the first seed."""
    run = teacher_run_of(wildcards.family)
    return f"<checkpoints>/tracking/{wildcards.family}/{teacher_variant(wildcards.family, run)}/seed{PROFILE.seeds[0]}.safetensors"


def selection_job(wildcards):
    run = teacher_run_of(wildcards.family)
    return parameters(jobs.selection, wildcards.family, wildcards.strategy, run)


def teacher_variant(family, run):
    return variant_name(TRACKING.families[family].runs[run].networks[0], run)


def tracker_outputs(family, run, suffix):
    """One file for each network that a run trains."""
    names = [variant_name(network, run) for network in TRACKING.families[family].runs[run].networks]
    return expand(f"<checkpoints>/tracking/{family}/{{name}}/seed{{{{seed}}}}.{suffix}", name=names)


def tracker_inputs(family, run):
    """Files of a training job beside the data: its teacher, what saves it work, and results of searches."""
    spec = TRACKING.families[family].runs[run]
    files = {"crops": family_crops(family), "searched": list(searched_networks(family, run).values())}
    files["pretrained"] = begun_with(*TRACKING.families[family].pretrained(run).values())
    if spec.teacher:
        seed = "{seed}" if spec.teacher_seed is None else spec.teacher_seed
        files["teacher"] = (
            f"<checkpoints>/tracking/{family}/{teacher_variant(family, spec.teacher)}/seed{seed}.safetensors"
        )
    if spec.recorded:
        files["recording"] = f"<recordings>/{family}/{spec.teacher}/seed{{seed}}.safetensors"
    return files


# Crops and recordings are plain inputs, though all that they hold follows from other inputs of the same jobs: where an
# `ancient` one is made anew, Snakemake 9.27 no longer asks whether another input of its readers has changed.
def family_crops(family):
    """The crops of the training set, for a family that keeps them."""
    return f"<recordings>/{family}/crops.safetensors" if TRACKING.families[family].stored_crops else []


def recorded_crops(wildcards):
    return family_crops(wildcards.family)


def given(input, *names):
    """`--NAME FILE` for each of these inputs that a job has."""
    return " ".join(f"--{name} {input.get(name)}" for name in names if input.get(name))


def searched_networks(family, run):
    """Network -> result of its search, for the networks of a run that are searched."""
    chosen = TRACKING.families[family]
    return {
        network: f"<results>/selection/{family}/{chosen.searched[network]}.json"
        for network in chosen.runs[run].networks
        if network in chosen.searched
    }


def tracker_files(family, run):
    """Input to `params:`: the options that name the files of a run."""
    networks, searched = TRACKING.families[family].runs[run].networks, searched_networks(family, run)

    def options(wildcards, input, output):
        words = [given(input, "teacher", "recording", "crops")]
        named = [f"{name}={file}" for name, file in zip(searched, files_of(input.searched))]
        words += ["--searched", *named] if named else []
        return " ".join([*words, "--out", *(f"{name}={file}" for name, file in zip(networks, output.weights))])

    return options


def files_of(named):
    """A named input as a list, whether it is one file or several."""
    return [named] if isinstance(named, str) else list(named)


def priority_of(family, run):
    """Teachers first: everything waits for them."""
    return 2 if TRACKING.families[family].runs[run].teacher is None else 1


def tracking_groups():
    """Name, benchmarks and seeds of each job that runs a tracker; of a job for a single seed the wildcard."""
    if TRACKING.together:
        return [("benchmarks", list(TRACKING.benchmarks), PROFILE.seeds)]
    return [] if tracking_parts() > 1 else [(name, [name], ["{seed}"]) for name in TRACKING.benchmarks]


def tracking_parts():
    """Jobs that share one tracker's run over a benchmark: `set-scatter: tracking: 8` of a Snakemake profile."""
    return 1 if TRACKING.together else workflow.resource_settings.overwrite_scatter.get("tracking", 1)


def tracked(benchmarks, seeds):
    """Indices that a job writes, benchmark by benchmark."""
    pattern = "<results>/predictions/{benchmark}/{{family}}/{{variant}}/seed{seed}.json"
    return expand(pattern, benchmark=benchmarks, seed=seeds)


def of_seeds(seeds):
    """Name of the log of a job of these seeds."""
    return "seed{seed}" if "{seed}" in seeds else "seeds"


def track_job(wildcards):
    return parameters(jobs.track, wildcards.family)


def benchmark_runs(wildcards, input, output):
    """`--on BENCHMARK ROOT RESULTS` for each benchmark of a job; {checkpoint} stands for the name of each checkpoint."""
    words, weights = [], input.get("weights")
    step = len(files_of(weights)) if weights else 1
    for data, index in zip(input.data, files_of(output.indices)[::step]):
        results = index.removesuffix(".json")
        if weights:
            results = f"{os.path.dirname(results)}/{{checkpoint}}"
        words.append(f"--on {Path(data).stem} {data.removesuffix('.json')} {results}")
    return " ".join(words)


def part_run(wildcards, input, output):
    """`--on BENCHMARK ROOT RESULTS` for a part of a benchmark."""
    return f"--on {Path(input.data).stem} {input.data.removesuffix('.json')} {output.index.removesuffix('.json')}"


def folders_of_parts(wildcards, input):
    """Results folders of a benchmark's parts."""
    return [index.removesuffix(".json") for index in input.parts]


def protocol_option(wildcards):
    protocol = TRACKING.protocols.get(wildcards.benchmark)
    return f"--protocol {protocol}" if protocol else ""


def scoring_pairs(wildcards, input, output):
    """RESULTS=METRICS for each model."""
    return [f"{index.removesuffix('.json')}={metrics}" for index, metrics in zip(input.indices, output.metrics)]


def options_of(*names):
    """Input to `params:`: the options for these inputs."""
    return lambda wildcards, input: given(input, *names)


def tracker_models(target):
    """Every tracker that a target trains, as family/variant/seed."""
    names = [
        f"{family}/{variant_name(network, run)}"
        for family, run in tracker_runs()
        for network in TRACKING.families[family].runs[run].networks
        if TRACKING.families[family].runs[run].target == target
    ]
    return expand("{name}/seed{seed}", name=names, seed=PROFILE.seeds)


def scored_trackers(target):
    """Every tracker that a target scores; the trivial ones belong to the headline."""
    return tracker_models(target) + (baselines(TRACKING.baselines) if target == "headline" else [])


def baselines(names):
    return expand("baseline/{name}/seed0", name=names)


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
