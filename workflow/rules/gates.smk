# Test sets whose boxes a server keeps. `snakemake submissions` writes what is sent in, for every tracker of the headline
# (first seed). The answer, saved as answers/<profile>/<test>/<family>/<variant>/seed<k>.txt or .json, becomes metrics,
# which the tables cite; without it their cell says “awaiting server”.


rule track_server_test:
    input:
        code=server_tracker_sources,
        data=server_data,
        weights="<checkpoints>/tracking/{family}/{variant}/seed{seed}.safetensors",
    output:
        index="<results>/predictions/{test}/{family}/{variant}/seed{seed}.json",
    log:
        "<logs>/track/{test}/{family}/{variant}/seed{seed}.log",
    threads: THREADS
    params:
        job=track_job,
        root=subpath(input.data, strip_suffix=".json"),
        results=subpath(output.index, strip_suffix=".json"),
    message:
        "Tracking on {wildcards.test}, {wildcards.family} {wildcards.variant}"
    shell:
        "python -m distillery track --checkpoint {input.weights} --params {params.job:q} --replace"
        " --on {wildcards.test} {params.root} {params.results} 2>&1 | tee {log}"


rule submission:
    input:
        code=server_sources("distillery.tracking.submission"),
        data=server_data,
        index="<results>/predictions/{test}/{family}/{variant}/seed{seed}.json",
    output:
        archive="<results>/submissions/{test}/{family}/{variant}/seed{seed}.zip",
        record="<results>/submissions/{test}/{family}/{variant}/seed{seed}.zip.json",
    log:
        "<logs>/submission/{test}/{family}/{variant}/seed{seed}.log",
    params:
        root=subpath(input.data, strip_suffix=".json"),
        results=subpath(input.index, strip_suffix=".json"),
    message:
        "Packing {wildcards.family} {wildcards.variant} for the server of {wildcards.test}"
    shell:
        "python -m distillery submission --benchmark {wildcards.test} --root {params.root} --results {params.results}"
        " --out {output.archive} 2>&1 | tee {log}"


rule server_answer:
    input:
        code=server_sources("distillery.tracking.submission"),
        answer=server_answer,
        archive="<results>/submissions/{test}/{family}/{variant}/seed{seed}.zip",
        record="<results>/submissions/{test}/{family}/{variant}/seed{seed}.zip.json",
    output:
        metrics="<results>/metrics/{test}/{family}/{variant}/seed{seed}.json",
    log:
        "<logs>/answer/{test}/{family}/{variant}/seed{seed}.log",
    message:
        "Taking up the answer of {wildcards.test} for {wildcards.family} {wildcards.variant}"
    shell:
        "python -m distillery answer --benchmark {wildcards.test} --answer {input.answer}"
        " --submission {input.archive} --out {output.metrics}"
        " --label model={wildcards.family} variant={wildcards.variant} seed={wildcards.seed} 2>&1 | tee {log}"
