# The manifest: every file of a run with its hash and the job that made it. Last, when nothing else is written any more.

for target in TARGETS:

    rule:
        name:
            f"manifest_{target}"
        input:
            code=sources("distillery.audit.manifest", "distillery.audit.records"),
            ends=shown(target),
            store=f"{HOME[target]}/store.json",
        output:
            manifest=f"{HOME[target]}/manifest.json",
        log:
            f"<logs>/{target}/manifest.log",
        params:
            target=target,
            config=workflow.configfiles[0],
        message:
            f"Listing every file with its hash, {target}"
        shell:
            "python -m distillery manifest --config {params.config} --target {params.target}"
            " --ends {input.ends} {input.store} --out {output.manifest} 2>&1 | tee {log}"
