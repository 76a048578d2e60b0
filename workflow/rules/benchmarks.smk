# Run every network and every trivial method on its benchmark, score the results, and measure size and speed.
# The index of a result folder stands for it: it holds the hash of every file.


rule track:
    input:
        code=sources("distillery.tracking.running"),
        data="<data>/otb100.json",
        weights="<checkpoints>/tracking/siamfc/{variant}/seed{seed}.safetensors",
    output:
        index="<results>/predictions/otb100/siamfc/{variant}/seed{seed}.json",
    log:
        "<logs>/track/siamfc/{variant}/seed{seed}.log",
    benchmark:
        "<benchmarks>/track/siamfc/{variant}/seed{seed}.jsonl"
    threads: THREADS
    params:
        job=parameters(jobs.track),
        root=subpath(input.data, strip_suffix=".json"),
        results=subpath(output.index, strip_suffix=".json"),
    message:
        "Tracking on otb100, siamfc {wildcards.variant}, seed {wildcards.seed}"
    shell:
        "python -m distillery track --benchmark otb100 --root {params.root} --checkpoint {input.weights}"
        " --results {params.results} --params {params.job:q} 2>&1 | tee {log}"


rule track_baseline:
    input:
        code=sources("distillery.tracking.running"),
        data="<data>/otb100.json",
    output:
        index="<results>/predictions/otb100/baseline/{variant}/seed0.json",
    log:
        "<logs>/track/baseline/{variant}/seed0.log",
    benchmark:
        "<benchmarks>/track/baseline/{variant}/seed0.jsonl"
    threads: THREADS
    params:
        root=subpath(input.data, strip_suffix=".json"),
        results=subpath(output.index, strip_suffix=".json"),
    message:
        "Tracking on otb100, baseline {wildcards.variant}"
    shell:
        "python -m distillery track --benchmark otb100 --root {params.root} --baseline {wildcards.variant}"
        " --results {params.results} 2>&1 | tee {log}"


rule score_tracking:
    input:
        code=sources("distillery.tracking.scoring"),
        data="<data>/otb100.json",
        index="<results>/predictions/otb100/{model}/{variant}/seed{seed}.json",
    output:
        metrics="<results>/metrics/otb100/{model}/{variant}/seed{seed}.json",
    log:
        "<logs>/score/otb100/{model}/{variant}/seed{seed}.log",
    params:
        root=subpath(input.data, strip_suffix=".json"),
        results=subpath(input.index, strip_suffix=".json"),
    message:
        "Scoring on otb100, {wildcards.model} {wildcards.variant}, seed {wildcards.seed}"
    shell:
        "python -m distillery score --benchmark otb100 --root {params.root} --results {params.results}"
        " --label model={wildcards.model} variant={wildcards.variant} seed={wildcards.seed}"
        " --out {output.metrics} 2>&1 | tee {log}"


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
        results="<results>/predictions/cuhk_sysu/{model}/{variant}/seed{seed}.npz",
    output:
        metrics="<results>/metrics/cuhk_sysu/{model}/{variant}/seed{seed}.json",
    log:
        "<logs>/score/cuhk_sysu/{model}/{variant}/seed{seed}.log",
    params:
        root=subpath(input.data, strip_suffix=".json"),
    message:
        "Scoring on cuhk_sysu, {wildcards.model} {wildcards.variant}, seed {wildcards.seed}"
    shell:
        "python -m distillery score --benchmark cuhk_sysu --root {params.root} --results {input.results}"
        " --label model={wildcards.model} variant={wildcards.variant} seed={wildcards.seed}"
        " --out {output.metrics} 2>&1 | tee {log}"


rule profile_networks:
    input:
        code=sources("distillery.profiling", "distillery.tracking.cost", "distillery.person_search.cost"),
        weights=checkpoints("safetensors", seeds=PROFILE.seeds[:1]),
    output:
        compute="<results>/compute.json",
    log:
        "<logs>/profile_networks.log",
    # All cores, so that no other job of this run disturbs the clock; the job itself computes on its own number of them.
    threads: CORES
    params:
        job=parameters(jobs.profiling),
        networks=named_networks,
    message:
        "Measuring size, operations and time of every network"
    shell:
        "python -m distillery profile-networks --params {params.job:q} --checkpoints {params.networks}"
        " --out {output.compute} 2>&1 | tee {log}"
