# What the rules of the paper share: what they show, and the files that they are made from.


def drawings(target):
    """Every figure of a target in both formats."""
    return captioned(f"{HOME[target]}/figures/{{name}}.svg", FIGURES[target], category="Figures") + expand(
        f"{HOME[target]}/figures/{{name}}.png", name=FIGURES[target]
    )


def named_networks(wildcards, input):
    """MODEL/VARIANT=CHECKPOINT for each checkpoint; of person search TRAINING_SET/MODEL/VARIANT."""
    folders = re.compile(r".*/(?:tracking|person_search)/(.+)/[^/]+")
    return [f"{folders.fullmatch(file)[1]}={file}" for file in input.weights]


def of_every_model(target, kind):
    """The `metrics` or `predictions` of every network and every trivial method on its benchmarks."""
    trackers = [model for part in upto(target) for model in scored_trackers(part)]
    return expand(f"<results>/{kind}/{{benchmark}}/{{model}}.json", benchmark=TRACKING.benchmarks, model=trackers) + [
        f"<results>/{kind}/{result}.json" for part in upto(target) for result in searched_results(part)
    ]


def written_up(target):
    """What tables and figures of a target are both made from."""
    return {
        "metrics": of_every_model(target, "metrics") + answered(target),
        "compute": f"{HOME[target]}/compute.json",
        "curves": checkpoints(target, "jsonl"),
        "searches": search_results(target),
    }


def search_results(target):
    """Results of the searches that a target shows: those that its runs ask for."""
    asked = [
        result
        for family, run in tracker_runs()
        if TRACKING.families[family].runs[run].target in upto(target)
        for result in searched_networks(family, run).values()
    ]
    return sorted(set(asked))


def shown_trackers(target):
    """Checkpoints whose response maps are shown: teacher and dim students of SiamFC, first seed."""
    shown = []
    for run in (run for family, run in tracker_runs() if family == "siamfc"):
        spec = TRACKING.siamfc.runs[run]
        names = [variant_name(name, run) for name in spec.networks if name in ("teacher", "dim")]
        if spec.target in upto(target):
            shown += [f"<checkpoints>/tracking/siamfc/{name}/seed{PROFILE.seeds[0]}.safetensors" for name in names]
    return shown


def cost_modules():
    """Modules that measure, with those of the networks they measure."""
    own = [row.cost for name, row in families.FAMILIES.items() if name in TRACKING.families]
    return sorted({*own, "distillery.person_search.cost"})


def paper_files(wildcards, input, output):
    """The options of a paper command: one for each kind of its input files, and the folder that it writes to."""
    kinds = ("metrics", "sidecars", "curves", "compute", "data", "predictions", "searches", "maps", "features")
    named = {kind: files_of(input.get(kind)) for kind in kinds if input.get(kind)} | {
        "out-dir": [os.path.dirname(output[0])]
    }
    return " ".join(f"--{kind} {' '.join(files)}" for kind, files in named.items())


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


def written_tables(target):
    """Every table of a target in each format."""
    return expand(f"{HOME[target]}/tables/{{name}}.{{suffix}}", name=TABLES[target], suffix=["csv", "md", "tex"])


def shown(target):
    """What a reader of a target sees: its report, claims, tables and figures."""
    figures = expand(f"{HOME[target]}/figures/{{name}}.{{suffix}}", name=FIGURES[target], suffix=["svg", "png"])
    claims = expand(f"{HOME[target]}/claims.{{suffix}}", suffix=["json", "md"])
    return [f"{HOME[target]}/report.html", *claims, *written_tables(target), *figures]
