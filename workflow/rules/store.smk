# Put data and checkpoints under DVC, once and last: its repository-wide lock has no place between parallel jobs.

for target in TARGETS:

    rule:
        name:
            f"publish_{target}"
        input:
            code=sources("distillery.store"),
            data=expand("<data>/{benchmark}.json", benchmark=DATASETS),
            checkpoints=checkpoints(target, "safetensors"),
            report=f"{HOME[target]}/report.html",
        output:
            store=f"{HOME[target]}/store.json",
        log:
            f"<logs>/{target}/publish.log",
        params:
            profile=PROFILE.profile,
        message:
            f"Storing data and checkpoints with DVC, {target}"
        shell:
            "python -m distillery publish --profile {params.profile} --out {output.store} 2>&1 | tee {log}"
