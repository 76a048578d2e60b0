# Run every network and every trivial method on its benchmarks, score the results, and measure size and speed.
# The index of a result folder stands for it: it holds the hash of every file. Snakemake removes it before it runs a job
# again, and `track` replaces a folder without an index only when told so.

for group, benchmarks, seeds in tracking_groups():

    rule:
        name:
            f"track_{group}"
        input:
            code=tracker_sources,
            data=expand("<data>/{benchmark}.json", benchmark=benchmarks),
            weights=expand("<checkpoints>/tracking/{{family}}/{{variant}}/seed{seed}.safetensors", seed=seeds),
        output:
            indices=tracked(benchmarks, seeds),
        log:
            f"<logs>/track/{group}/{{family}}/{{variant}}/{of_seeds(seeds)}.log",
        benchmark:
            f"<benchmarks>/track/{group}/{{family}}/{{variant}}/{of_seeds(seeds)}.jsonl"
        threads: THREADS
        params:
            job=track_job,
            runs=benchmark_runs,
        message:
            f"Tracking on {group}, {{wildcards.family}} {{wildcards.variant}}"
        shell:
            "python -m distillery track --checkpoint {input.weights} --params {params.job:q} --replace {params.runs}"
            " 2>&1 | tee {log}"


rule track_baseline:
    input:
        code=sources("distillery.tracking.running", *registry.modules(*TRACKING.benchmarks)),
        data=expand("<data>/{benchmark}.json", benchmark=TRACKING.benchmarks),
    output:
        indices=expand(
            "<results>/predictions/{benchmark}/baseline/{{variant}}/seed0.json", benchmark=TRACKING.benchmarks
        ),
    log:
        "<logs>/track/baseline/{variant}/seed0.log",
    benchmark:
        "<benchmarks>/track/baseline/{variant}/seed0.jsonl"
    threads: THREADS
    params:
        job=parameters(jobs.track),
        runs=benchmark_runs,
    message:
        "Tracking, baseline {wildcards.variant}"
    shell:
        "python -m distillery track --baseline {wildcards.variant} --params {params.job:q} --replace {params.runs}"
        " 2>&1 | tee {log}"


# One job scores all models of a target on a benchmark: the truth is read once, and each model takes a fraction of a second.
for target in TARGETS:

    rule:
        name:
            f"score_tracking_{target}"
        input:
            code=scoring_sources,
            data="<data>/{benchmark}.json",
            indices=expand("<results>/predictions/{{benchmark}}/{model}.json", model=scored_trackers(target)),
        output:
            metrics=expand("<results>/metrics/{{benchmark}}/{model}.json", model=scored_trackers(target)),
        log:
            f"<logs>/score/{{benchmark}}/{target}.log",
        params:
            root=subpath(input.data, strip_suffix=".json"),
            protocol=protocol_option,
            pairs=scoring_pairs,
        message:
            f"Scoring on {{wildcards.benchmark}}, {target}"
        shell:
            "python -m distillery score-all --benchmark {wildcards.benchmark} --root {params.root} {params.protocol}"
            " --pairs {params.pairs} 2>&1 | tee {log}"


rule search:
    input:
        code=sources("distillery.person_search.inference"),
        data="<data>/cuhk_sysu.json",
        weights="<checkpoints>/person_search/{searcher}/{variant}/seed{seed}.safetensors",
    output:
        multiext("<results>/predictions/cuhk_sysu/{searcher}/{variant}/seed{seed}", results=".npz", sidecar=".json"),
    log:
        "<logs>/search/{searcher}/{variant}/seed{seed}.log",
    benchmark:
        "<benchmarks>/search/{searcher}/{variant}/seed{seed}.jsonl"
    threads: THREADS
    params:
        job=search_job,
        root=subpath(input.data, strip_suffix=".json"),
    message:
        "Searching in cuhk_sysu, {wildcards.searcher} {wildcards.variant}, seed {wildcards.seed}"
    shell:
        "python -m distillery search --root {params.root} --checkpoint {input.weights}"
        " --results {output.results} --params {params.job:q} 2>&1 | tee {log}"


rule search_baseline:
    input:
        code=sources("distillery.person_search.inference"),
        data="<data>/cuhk_sysu.json",
    output:
        multiext("<results>/predictions/cuhk_sysu/baseline/{variant}/seed0", results=".npz", sidecar=".json"),
    log:
        "<logs>/search/baseline/{variant}/seed0.log",
    benchmark:
        "<benchmarks>/search/baseline/{variant}/seed0.jsonl"
    threads: THREADS
    params:
        root=subpath(input.data, strip_suffix=".json"),
    message:
        "Searching in cuhk_sysu, baseline {wildcards.variant}"
    shell:
        "python -m distillery search --root {params.root} --baseline {wildcards.variant}"
        " --results {output.results} 2>&1 | tee {log}"


rule score_search:
    input:
        code=sources("distillery.person_search.scoring"),
        data="<data>/cuhk_sysu.json",
        results="<results>/predictions/cuhk_sysu/{searcher}/{variant}/seed{seed}.npz",
    output:
        metrics="<results>/metrics/cuhk_sysu/{searcher}/{variant}/seed{seed}.json",
    log:
        "<logs>/score/cuhk_sysu/{searcher}/{variant}/seed{seed}.log",
    params:
        root=subpath(input.data, strip_suffix=".json"),
    message:
        "Scoring on cuhk_sysu, {wildcards.searcher} {wildcards.variant}, seed {wildcards.seed}"
    shell:
        "python -m distillery score --benchmark cuhk_sysu --root {params.root} --results {input.results}"
        " --label model={wildcards.searcher} variant={wildcards.variant} seed={wildcards.seed}"
        " --out {output.metrics} 2>&1 | tee {log}"
