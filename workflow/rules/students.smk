# Train the trackers of each run in one job (one teacher forward for all its students), and the person-search networks.

for run in TRACKING.runs:

    rule:
        name:
            f"train_trackers_{run}"
        input:
            code=sources("distillery.tracking.training"),
            data="<data>/got10k.json",
            teacher=tracker_teacher(run),
        output:
            weights=tracker_outputs(run, "safetensors"),
            others=tracker_outputs(run, "json") + tracker_outputs(run, "jsonl"),
        log:
            f"<logs>/train_trackers/{run}/seed{{seed}}.log",
        benchmark:
            f"<benchmarks>/train_trackers/{run}/seed{{seed}}.jsonl"
        priority: 2 if TRACKING.runs[run].teacher is None else 1
        threads: THREADS
        params:
            job=tracker_training_job(run),
            files=tracker_files(run),
        message:
            f"Training trackers, run {run}, seed {{wildcards.seed}}"
        shell:
            "python -m distillery train-trackers --params {params.job:q} --data {input.data}"
            " {params.files} 2>&1 | tee {log}"


rule train_search:
    input:
        code=sources("distillery.person_search.training"),
        data="<data>/cuhk_sysu.json",
        table=run_table,
    output:
        multiext("<checkpoints>/person_search/oim/{network}-{run}/seed{seed}", **CHECKPOINT),
    log:
        "<logs>/train_search/{network}-{run}/seed{seed}.log",
    benchmark:
        "<benchmarks>/train_search/{network}-{run}/seed{seed}.jsonl"
    threads: THREADS
    params:
        job=search_training_job,
        table=table_option,
    message:
        "Training person search, {wildcards.network} network, run {wildcards.run}, seed {wildcards.seed}"
    shell:
        "python -m distillery train-search --params {params.job:q} --data {input.data} {params.table}"
        " --out {output.weights} 2>&1 | tee {log}"
