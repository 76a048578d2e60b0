# Fill the look-up table: one ID feature for every training identity, from the re-identification teacher.


rule lookup_table:
    input:
        code=sources("distillery.person_search.training"),
        data="<data>/cuhk_sysu.json",
        teacher=lookup_teacher,
    output:
        multiext("<checkpoints>/person_search/lookup/{table}/seed{seed}", rows=".safetensors", sidecar=".json"),
    log:
        "<logs>/lookup/{table}/seed{seed}.log",
    benchmark:
        "<benchmarks>/lookup/{table}/seed{seed}.jsonl"
    threads: THREADS
    params:
        job=lookup_job,
        teacher=options_of("teacher"),
    message:
        "Look-up table {wildcards.table}, seed {wildcards.seed}"
    shell:
        "python -m distillery lookup --params {params.job:q} --data {input.data} {params.teacher}"
        " --out {output.rows} 2>&1 | tee {log}"
