# From scores to what is read: tables, figures, report; for the headline (`snakemake`) and for `snakemake ablations`.

for target in TARGETS:

    rule:
        name:
            f"profile_networks_{target}"
        input:
            code=sources("distillery.profiling", *cost_modules()),
            weights=checkpoints(target, "safetensors", seeds=PROFILE.seeds[:1]),
        output:
            compute=f"{HOME[target]}/compute.json",
        log:
            f"<logs>/{target}/profile_networks.log",
        # All cores, so that no other job of this run disturbs the clock; the job itself computes on its own number of them.
        threads: CORES
        params:
            job=parameters(jobs.profiling),
            networks=named_networks,
        message:
            f"Measuring size, operations and time of every network, {target}"
        shell:
            "python -m distillery profile-networks --params {params.job:q} --checkpoints {params.networks}"
            " --out {output.compute} 2>&1 | tee {log}"

    rule:
        name:
            f"response_maps_{target}"
        input:
            code=sources("distillery.tracking.response_maps", *families.tracking_modules("siamfc")),
            data="<data>/otb100.json",
            weights=shown_trackers(target),
        output:
            maps=f"{HOME[target]}/response_maps.npz",
        log:
            f"<logs>/{target}/response_maps.log",
        threads: THREADS
        params:
            networks=named_networks,
        message:
            f"Response maps, {target}"
        shell:
            "python -m distillery response-maps --data {input.data} --checkpoints {params.networks}"
            " --out {output.maps} 2>&1 | tee {log}"

    rule:
        name:
            f"tables_{target}"
        input:
            **written_up(target),
            code=sources("distillery.paper.tables"),
            sidecars=checkpoints(target, "json") + lookup_sidecars(target),
        output:
            captioned(f"{HOME[target]}/tables/{{name}}.csv", TABLES[target], category="Tables"),
            expand(f"{HOME[target]}/tables/{{name}}.{{suffix}}", name=TABLES[target], suffix=["md", "tex"]),
        log:
            f"<logs>/{target}/tables.log",
        params:
            job=parameters(jobs.paper, target),
            files=paper_files,
        message:
            f"Making the tables, {target}"
        shell:
            "python -m distillery tables --params {params.job:q} {params.files} 2>&1 | tee {log}"

    rule:
        name:
            f"figures_{target}"
        input:
            **written_up(target),
            code=sources("distillery.paper.figures", *registry.modules(*TRACKING.benchmarks)),
            data=expand("<data>/{benchmark}.json", benchmark=DATASETS),
            predictions=of_every_model(target, "predictions"),
            maps=f"{HOME[target]}/response_maps.npz",
            features="<results>/feature_space.npz" if target == "headline" else [],
        output:
            drawings(target),
        log:
            f"<logs>/{target}/figures.log",
        threads: CORES
        params:
            job=parameters(jobs.paper, target),
            files=paper_files,
        message:
            f"Drawing the figures, {target}"
        shell:
            "python -m distillery figures --params {params.job:q} {params.files} --workers {threads} 2>&1 | tee {log}"

    rule:
        name:
            f"report_{target}"
        input:
            code=sources("distillery.paper.report"),
            page=package_files("paper/templates"),
            metrics=of_every_model(target, "metrics"),
            claims=f"{HOME[target]}/claims.json",
            tables=written_tables(target),
            figures=expand(f"{HOME[target]}/figures/{{name}}.{{suffix}}", name=FIGURES[target], suffix=["svg", "png"]),
        output:
            captioned(f"{HOME[target]}/{{name}}.html", ["report"], category="Report"),
        log:
            f"<logs>/{target}/report.log",
        params:
            job=parameters(jobs.paper, target, with_config=True),
            tables=folder_of("tables"),
            figures=folder_of("figures"),
        message:
            f"Writing the report, {target}"
        shell:
            "python -m distillery report --params {params.job:q} --tables {params.tables} --figures {params.figures}"
            " --metrics {input.metrics} --claims {input.claims} --out {output} 2>&1 | tee {log}"


rule feature_space:
    input:
        code=sources("distillery.person_search.feature_space", *methods.building_modules("oim")),
        data=f"<data>/{SEARCH.benchmarks[0]}.json",
        weights=shown_searchers(),
    output:
        features="<results>/feature_space.npz",
    log:
        "<logs>/headline/feature_space.log",
    threads: THREADS
    params:
        networks=named_searchers,
    message:
        "Feature space of person search"
    shell:
        "python -m distillery feature-space --data {input.data} --checkpoints {params.networks}"
        " --out {output.features} 2>&1 | tee {log}"
