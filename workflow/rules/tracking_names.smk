# Names of what the trackers need and make, and the functions that their rules call.


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
