# Synthesise each dataset in its official layout, or link a real copy; check it and list its files with their hashes.
# The manifest stands for the folder of the same name beside it: it changes exactly when the content does.


rule dataset:
    input:
        code=dataset_sources,
    output:
        manifest="<data>/{benchmark}.json",
    log:
        "<logs>/dataset/{benchmark}.log",
    benchmark:
        "<benchmarks>/dataset/{benchmark}.jsonl"
    priority: 3
    threads: THREADS
    params:
        job=dataset_job,
    message:
        "Dataset {wildcards.benchmark}"
    shell:
        "python -m distillery dataset --benchmark {wildcards.benchmark} --params {params.job:q}"
        " --out {output.manifest} --workers {threads} --replace 2>&1 | tee {log}"


rule pretraining_data:
    input:
        code=sources(*datasets.modules("cuhk_sysu")),
    output:
        manifest="<data>/pretraining.json",
    log:
        "<logs>/dataset/pretraining.log",
    benchmark:
        "<benchmarks>/dataset/pretraining.jsonl"
    priority: 4
    threads: THREADS
    params:
        job=parameters(jobs.pretraining_data) if SEARCH.pretraining else "",
    message:
        "Dataset on which person-search backbones are pre-trained"
    shell:
        "python -m distillery dataset --benchmark cuhk_sysu --params {params.job:q}"
        " --out {output.manifest} --workers {threads} --replace 2>&1 | tee {log}"
