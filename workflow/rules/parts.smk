# Run trackers on parts of a benchmark, side by side, where a Snakemake profile asks for it (`set-scatter: tracking: 8`).
# The parts are as long as each other, the results those of one job; a part that fails leaves the others as they are.


scattergather:
    tracking=1,


for name in TRACKING.benchmarks if tracking_parts() > 1 else []:

    rule:
        name:
            f"track_{name}_part"
        input:
            code=tracker_sources,
            data=f"<data>/{name}.json",
            weights="<checkpoints>/tracking/{family}/{variant}/seed{seed}.safetensors",
        output:
            index=f"<results>/parts/{name}/{{family}}/{{variant}}/seed{{seed}}/{{scatteritem}}.json",
        log:
            f"<logs>/track/{name}/{{family}}/{{variant}}/seed{{seed}}/{{scatteritem}}.log",
        benchmark:
            f"<benchmarks>/track/{name}/{{family}}/{{variant}}/seed{{seed}}/{{scatteritem}}.jsonl"
        threads: THREADS
        params:
            job=track_job,
            run=part_run,
        message:
            f"Tracking on {name}, {{wildcards.family}} {{wildcards.variant}}, part {{wildcards.scatteritem}}"
        shell:
            "python -m distillery track --checkpoint {input.weights} --params {params.job:q} --replace {params.run}"
            " --part {wildcards.scatteritem} 2>&1 | tee {log}"

    rule:
        name:
            f"join_{name}"
        input:
            code=sources("distillery.tracking.parts"),
            # What the index names as its origin is an input, which the audit checks; the command does not read it.
            weights="<checkpoints>/tracking/{family}/{variant}/seed{seed}.safetensors",
            parts=gather.tracking(
                f"<results>/parts/{name}/{{{{family}}}}/{{{{variant}}}}/seed{{{{seed}}}}/{{scatteritem}}.json"
            ),
        output:
            index=f"<results>/predictions/{name}/{{family}}/{{variant}}/seed{{seed}}.json",
        log:
            f"<logs>/join/{name}/{{family}}/{{variant}}/seed{{seed}}.log",
        params:
            parts=folders_of_parts,
            results=subpath(output.index, strip_suffix=".json"),
        message:
            f"Joining the parts of {name}, {{wildcards.family}} {{wildcards.variant}}"
        shell:
            "python -m distillery join --parts {params.parts} --results {params.results} 2>&1 | tee {log}"
