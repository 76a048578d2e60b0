# What the rules of person search share: names of files, inputs, parameters.
# A job that trains or fills a table does so for all seeds, one after another, or for the one of its wildcard.
SEEDS = PROFILE.seeds if SEARCH.together else ["{seed}"]
SAID = "all seeds" if SEARCH.together else "seed {wildcards.seed}"


def each_seed(pattern):
    """A file for each seed of a job; other wildcards stay."""
    return expand(pattern, seed=SEEDS, allow_missing=True)


def checkpoint_files(name):
    """Weights, sidecars and metrics of a network, for each seed of a job."""
    return {kind: each_seed(f"{name}/seed{{seed}}{suffix}") for kind, suffix in CHECKPOINT.items()}


def seeds_of(wildcards):
    """The seeds of a job, as numbers; its parameters are those of the first."""
    return PROFILE.seeds if SEARCH.together else [int(wildcards.seed)]


def for_seeds(files):
    """File names of all seeds of a job with `{seed}` in the place of the seed, each once."""
    return list(dict.fromkeys(re.sub(r"\bseed\d+(?=\.\w+$)", "seed{seed}", file) for file in files_of(files)))


def seeds_option(wildcards):
    """The option that says which seeds a job is for; `{seed}` stands for each in the files of its command."""
    return f"--seeds {' '.join(map(str, seeds_of(wildcards)))}"


def files_of_seeds(*names):
    """Input to `params:`: the seeds of a job, what it reads beside the data, and the file that it writes for each."""

    def options(wildcards, input, output):
        words = [f"--{name} {for_seeds(input.get(name))[0]}" for name in names if input.get(name)]
        return " ".join([seeds_option(wildcards), *words, f"--out {for_seeds(output.weights)[0]}"])

    return options


def reid_job(wildcards):
    return parameters(jobs.reid_training, seeds_of(wildcards)[0])


def lookup_sources(wildcards):
    """The network of a table's teacher is built by the name of its method."""
    method = str(SEARCH.tables[wildcards.table].teacher).split("/")[0]
    return sources("distillery.person_search.tables", *methods.building_modules(method))


def lookup_job(wildcards):
    return parameters(jobs.lookup, wildcards.table, seeds_of(wildcards)[0])


def search_training_job(run):
    """Input to `params:` of a run's rule."""

    def job(wildcards):
        return parameters(jobs.search_training, run, wildcards.network, seeds_of(wildcards)[0])

    return job


def search_variants(run, network="{network}"):
    """method/variant of every student of a run on a network."""
    spec = SEARCH.runs[run]
    return [f"{spec.method}/{network}-{student}" for student in spec.students]


def search_outputs(run):
    """The checkpoints of each student: weights, and the files beside them."""
    names = [f"<checkpoints>/person_search/{{trained_on}}/{variant}" for variant in search_variants(run)]
    found = [checkpoint_files(name) for name in names]
    return {kind: [file for files in found for file in files[kind]] for kind in CHECKPOINT}


def search_places(run):
    """Networks and training sets of a run, as constraints of wildcards."""
    spec = SEARCH.runs[run]
    return {"network": "|".join(spec.networks), "trained_on": "|".join(spec.benchmarks or SEARCH.benchmarks)}


def search_inputs(run):
    """Files of a training job beside the data: tables, detection teacher, networks to start from."""
    spec, folder = SEARCH.runs[run], "<checkpoints>/person_search/{trained_on}"
    students = spec.students.values()
    tables = sorted({student.table for student in students if student.table})
    starts = sorted({f"oim/{{network}}-{student.start}" for student in students if student.start})
    taught = any(student.detector for student in students)
    read = {
        "tables": [f"lookup/{table}" for table in tables],
        "starts": starts,
        "detector": [f"detector/{SEARCH.detection_teacher}"] if taught else [],
    }
    files = {
        kind: [file for name in names for file in each_seed(f"{folder}/{name}/seed{{seed}}.safetensors")]
        for kind, names in read.items()
    }
    files["pretrained"] = lambda wildcards: backbone_weights(wildcards.network)
    return files


def backbone_weights(network):
    """Weights that a backbone starts from: made here, or a file of the user's."""
    file = jobs.backbone(PROFILE, network).pretrained
    return [file] if network in pretrained_here() else present(file)


def pretrained_here():
    return SEARCH.pretraining.networks if SEARCH.pretraining else ()


def search_files(run):
    """Input to `params:`: the options that name a training job's files."""
    spec = SEARCH.runs[run]

    def options(wildcards, input, output):
        names = {student: f"{wildcards.network}-{student}" for student in spec.students}

        def file_of(files, part):
            return next(file for file in for_seeds(files) if f"/{part}/" in file)

        words = {"--out": [f"{names[name]}={file}" for name, file in zip(spec.students, for_seeds(output.weights))]}
        words["--table"] = [
            f"{names[name]}={file_of(input.tables, student.table)}"
            for name, student in spec.students.items()
            if student.table
        ]
        words["--start"] = [
            f"{names[name]}={file_of(input.starts, f'{wildcards.network}-{student.start}')}"
            for name, student in spec.students.items()
            if student.start
        ]
        words["--detector"] = for_seeds(input.detector)
        return " ".join(
            [seeds_option(wildcards), *(f"{flag} {' '.join(files)}" for flag, files in words.items() if files)]
        )

    return options


def lookup_teacher(wildcards):
    """The checkpoint that fills a table, for each seed of a job."""
    table = SEARCH.tables[wildcards.table]
    if table.construction == "random":
        return []
    teacher = "reid/teacher" if table.teacher == "reid" else table.teacher
    return each_seed(f"<checkpoints>/person_search/{{trained_on}}/{teacher}/seed{{seed}}.safetensors")


def search_runs(target):
    """(training set, run) of a target; what another run learns from is made with it."""
    return [
        (benchmark, name)
        for name, run in SEARCH.runs.items()
        for benchmark in run.benchmarks or SEARCH.benchmarks
        if run.target == target
    ]


def search_models(target):
    """Every trained network of a target as training set/method/variant/seed."""
    names = [
        f"{benchmark}/{variant}"
        for benchmark, run in search_runs(target)
        for network in SEARCH.runs[run].networks
        for variant in search_variants(run, network)
    ]
    if target == "headline":
        names += [f"{benchmark}/reid/teacher" for benchmark in SEARCH.benchmarks]
    return expand("{name}/seed{seed}", name=names, seed=PROFILE.seeds)


def searched_results(target):
    """Every result of a target as benchmark/model/variant/seed; the trivial methods belong to the headline."""
    found = []
    for model in search_models(target):
        trained_on, method, rest = model.split("/", 2)
        found += [f"{test}/{method}/{rest}" for test in search_tests(trained_on, method)]
    if target == "headline":
        tests = [test for benchmark in SEARCH.benchmarks for test in search_tests(benchmark, "oim")]
        found += [f"{test}/{name}" for test in tests for name in baselines(SEARCH.baselines)]
    return found


def named_searchers(wildcards, input):
    """METHOD/VARIANT=CHECKPOINT for each checkpoint."""
    return [f"{'/'.join(Path(file).parts[-3:-1])}={file}" for file in input.weights]


def search_groups():
    """(name, training set, method, variants) of all that searches: the networks of each run, and trivial methods."""
    found = [
        (name, benchmark, run.method, [one.split("/")[1] for net in run.networks for one in search_variants(name, net)])
        for name, run in SEARCH.runs.items()
        for benchmark in run.benchmarks or SEARCH.benchmarks
    ]
    found += [("reid", benchmark, "reid", ["teacher"]) for benchmark in SEARCH.benchmarks]
    return found + [("baseline", benchmark, "baseline", list(SEARCH.baselines)) for benchmark in SEARCH.benchmarks]


def searching(method, variants, pattern, **places):
    """Files of a job that searches: those of all variants and seeds, or of one of each."""
    if method == "baseline":
        return expand(pattern, variant=["{variant}"], seed=[0], **places)
    if not SEARCH.together:
        return expand(pattern, variant=["{variant}"], seed=["{seed}"], **places)
    return expand(pattern, variant=variants, seed=PROFILE.seeds, **places)


def searching_checkpoints(trained_on, method, variants):
    pattern = f"<checkpoints>/person_search/{trained_on}/{method}/{{variant}}/seed{{seed}}.safetensors"
    return [] if method == "baseline" else searching(method, variants, pattern)


def searching_results(trained_on, method, variants, suffix):
    """What a job that searches writes, benchmark by benchmark."""
    pattern = f"<results>/predictions/{{test}}/{method}/{{variant}}/seed{{seed}}.{suffix}"
    return searching(method, variants, pattern, test=search_tests(trained_on, method))


def searching_log(name, method):
    """Name of the log of a job that searches."""
    if SEARCH.together and method != "baseline":
        return name
    return f"{name}/{{variant}}" if method == "baseline" else f"{name}/{{variant}}/seed{{seed}}"


def search_job(method):
    return parameters(jobs.search, method, true_boxes=method == "reid")


def searching_files(wildcards, input, output):
    """The options of `search` for what runs on which images, and BENCHMARK=RESULTS for each benchmark of a job."""
    weights, results = input.get("weights"), [Path(file) for file in files_of(output.results)]
    which = f"--checkpoint {weights}" if weights else f"--baseline {wildcards.variant}"
    if weights:  # they stand for the name of each checkpoint, and of its folder
        results = dict.fromkeys(file.parents[1] / "{variant}" / "{checkpoint}.npz" for file in results)
    found = " ".join(f"{file.parts[-4]}={file}" for file in results)
    return f"--root {input.data.removesuffix('.json')} {which} --results {found}"


def dataset_of(test):
    """The dataset that a benchmark is part of."""
    return next(name for name in SEARCH.benchmarks if test in search_tests(name, "oim"))


def searched_tests():
    """(target, benchmark) of everything that is scored."""
    found = [(target, result.split("/")[0]) for target in TARGETS for result in searched_results(target)]
    return list(dict.fromkeys(found))


def searched(target, test, kind, suffix):
    """The `predictions` or `metrics` of a target on a benchmark."""
    results = [result for result in searched_results(target) if result.startswith(f"{test}/")]
    return [f"<results>/{kind}/{result}.{suffix}" for result in results]


def search_scoring_pairs(wildcards, input, output):
    """RESULTS=METRICS for each model."""
    return [f"{results}={metrics}" for results, metrics in zip(files_of(input.results), files_of(output.metrics))]


def lookup_sidecars(target):
    """Sidecars of the tables that a target's runs learn from: their quality."""
    found = [
        (benchmark, student.table)
        for part in upto(target)
        for benchmark, run in search_runs(part)
        for student in SEARCH.runs[run].students.values()
        if student.table
    ]
    return [
        f"<checkpoints>/person_search/{benchmark}/lookup/{table}/seed{seed}.json"
        for benchmark, table in dict.fromkeys(found)
        for seed in PROFILE.seeds
    ]


def shown_searchers():
    """OIM networks whose feature space is shown: without and with a table, first network, training set and seed."""
    network, benchmark = next(iter(SEARCH.networks)), SEARCH.benchmarks[0]
    students = {
        name: student
        for run in SEARCH.runs.values()
        if run.method == "oim" and run.target == "headline" and network in run.networks
        for name, student in run.students.items()
        if not student.detector
    }
    plain = [name for name, student in students.items() if student.table is None][:1]
    given = [name for name, student in students.items() if student.table is not None][:1]
    folder = f"<checkpoints>/person_search/{benchmark}/oim"
    return [f"{folder}/{network}-{name}/seed{PROFILE.seeds[0]}.safetensors" for name in plain + given]
