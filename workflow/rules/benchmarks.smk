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


for name, trained_on, method, variants in search_groups():

    rule:
        name:
            f"search_{trained_on}_{name}"
        input:
            code=sources("distillery.person_search.inference", *methods.building_modules(method)),
            data=f"<data>/{trained_on}.json",
            weights=searching_checkpoints(trained_on, method, variants),
        output:
            results=searching_results(trained_on, method, variants, "npz"),
            sidecars=searching_results(trained_on, method, variants, "json"),
        log:
            f"<logs>/search/{trained_on}/{searching_log(name, method)}.log",
        benchmark:
            f"<benchmarks>/search/{trained_on}/{searching_log(name, method)}.jsonl"
        wildcard_constraints:
            variant="|".join(variants),
        threads: THREADS
        params:
            job=search_job(method),
            files=searching_files,
        message:
            f"Searching in {trained_on}, {name}"
        shell:
            "python -m distillery search {params.files} --params {params.job:q} 2>&1 | tee {log}"


for target, test in searched_tests():

    rule:
        name:
            f"score_{test}_{target}"
        input:
            code=sources("distillery.person_search.scoring"),
            data=f"<data>/{dataset_of(test)}.json",
            results=searched(target, test, "predictions", "npz"),
        output:
            metrics=searched(target, test, "metrics", "json"),
        log:
            f"<logs>/score/{test}/{target}.log",
        params:
            test=test,
            root=subpath(input.data, strip_suffix=".json"),
            partial="--allow-partial" if SEARCH.query.queries else "",
            pairs=search_scoring_pairs,
        message:
            f"Scoring on {test}, {target}"
        shell:
            "python -m distillery score-all --benchmark {params.test} --root {params.root} {params.partial}"
            " --pairs {params.pairs} 2>&1 | tee {log}"
