# Fill the look-up tables: one ID feature for every training identity, from a re-identification teacher.


rule lookup_table:
    input:
        code=lookup_sources,
        data="<data>/{trained_on}.json",
        teacher=lookup_teacher,
    output:
        weights=each_seed("<checkpoints>/person_search/{trained_on}/lookup/{table}/seed{seed}.safetensors"),
        sidecar=each_seed("<checkpoints>/person_search/{trained_on}/lookup/{table}/seed{seed}.json"),
    log:
        f"<logs>/lookup/{{trained_on}}/{{table}}/{of_seeds(SEEDS)}.log",
    benchmark:
        f"<benchmarks>/lookup/{{trained_on}}/{{table}}/{of_seeds(SEEDS)}.jsonl"
    threads: THREADS
    params:
        job=lookup_job,
        files=files_of_seeds("teacher"),
    message:
        f"Look-up table {{wildcards.table}} on {{wildcards.trained_on}}, {SAID}"
    shell:
        "python -m distillery lookup --params {params.job:q} --data {input.data} {params.files} 2>&1 | tee {log}"
