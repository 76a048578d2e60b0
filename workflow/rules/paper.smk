# From scores to what is read: tables, figures, report.


rule tables:
    input:
        code=sources("distillery.paper.tables"),
        metrics=of_every_model("metrics"),
        sidecars=checkpoints("json"),
        compute="<results>/compute.json",
    output:
        captioned("<results>/tables/{name}.csv", TABLES, category="Tables"),
        expand("<results>/tables/{name}.{suffix}", name=TABLES, suffix=["md", "tex"]),
    log:
        "<logs>/tables.log",
    params:
        job=parameters(jobs.paper),
        folder=subpath(output[0], parent=True),
    message:
        "Making the tables"
    shell:
        "python -m distillery tables --params {params.job:q} --metrics {input.metrics} --sidecars {input.sidecars}"
        " --compute {input.compute} --out-dir {params.folder} 2>&1 | tee {log}"


rule figures:
    input:
        code=sources("distillery.paper.figures"),
        metrics=of_every_model("metrics"),
        curves=checkpoints("jsonl"),
        compute="<results>/compute.json",
        data=expand("<data>/{benchmark}.json", benchmark=BENCHMARKS),
        predictions=of_every_model("predictions"),
    output:
        captioned("<results>/figures/{name}.svg", FIGURES, category="Figures"),
        expand("<results>/figures/{name}.png", name=FIGURES),
    log:
        "<logs>/figures.log",
    params:
        job=parameters(jobs.paper),
        folder=subpath(output[0], parent=True),
    message:
        "Drawing the figures"
    shell:
        "python -m distillery figures --params {params.job:q} --metrics {input.metrics} --curves {input.curves}"
        " --compute {input.compute} --data {input.data} --predictions {input.predictions}"
        " --out-dir {params.folder} 2>&1 | tee {log}"


rule report:
    input:
        code=sources("distillery.paper.report"),
        page=package_files("paper/templates"),
        metrics=of_every_model("metrics"),
        tables=rules.tables.output,
        figures=rules.figures.output,
    output:
        captioned("<results>/{name}.html", ["report"], category="Report"),
    log:
        "<logs>/report.log",
    params:
        job=parameters(jobs.paper, with_config=True),
        tables=folder_of("tables"),
        figures=folder_of("figures"),
    message:
        "Writing the report"
    shell:
        "python -m distillery report --params {params.job:q} --tables {params.tables} --figures {params.figures}"
        " --metrics {input.metrics} --out {output} 2>&1 | tee {log}"
