# Fill the look-up tables: one ID feature for every training identity, from a re-identification teacher.


rule lookup_table:
    input:
        code=lookup_sources,
        data="<data>/{trained_on}.json",
        teacher=lookup_teacher,
    output:
        multiext(
            "<checkpoints>/person_search/{trained_on}/lookup/{table}/seed{seed}", rows=".safetensors", sidecar=".json"
        ),
    log:
        "<logs>/lookup/{trained_on}/{table}/seed{seed}.log",
    benchmark:
        "<benchmarks>/lookup/{trained_on}/{table}/seed{seed}.jsonl"
    threads: THREADS
    params:
        job=lookup_job,
        teacher=options_of("teacher"),
    message:
        "Look-up table {wildcards.table} on {wildcards.trained_on}, seed {wildcards.seed}"
    shell:
        "python -m distillery lookup --params {params.job:q} --data {input.data} {params.teacher}"
        " --out {output.rows} 2>&1 | tee {log}"
