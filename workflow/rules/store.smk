# Put data and checkpoints under DVC, once and last: its repository-wide lock has no place between parallel jobs.


rule publish:
    input:
        code=sources("distillery.store"),
        data=expand("<data>/{benchmark}.json", benchmark=BENCHMARKS),
        checkpoints=checkpoints("safetensors"),
        report="<results>/report.html",
    output:
        store="<results>/store.json",
    log:
        "<logs>/publish.log",
    params:
        profile=PROFILE.profile,
    message:
        "Storing data and checkpoints with DVC"
    shell:
        "python -m distillery publish --profile {params.profile} --out {output.store} 2>&1 | tee {log}"
