# Put data, checkpoints and results under DVC, once and last: its repository-wide lock has no place between parallel jobs.
# `make restore` brings back what is put there (docs/store.md).

for target in TARGETS:

    rule:
        name:
            f"publish_{target}"
        input:
            code=sources("distillery.store.publishing"),
            data=expand("<data>/{benchmark}.json", benchmark=DATASETS),
            checkpoints=checkpoints(target, "safetensors"),
            report=f"{HOME[target]}/report.html",
            audit=[f"{HOME[target]}/{name}" for name in ("manifest.json", "checklist.md")],
        output:
            store=f"{HOME[target]}/store.json",
        log:
            f"<logs>/{target}/publish.log",
        # All cores, so that no other job of this run writes what is being stored.
        threads: CORES
        params:
            profile=PROFILE.profile,
        message:
            f"Storing data, checkpoints and results with DVC, {target}"
        shell:
            "python -m distillery publish --profile {params.profile} --out {output.store} 2>&1 | tee {log}"
