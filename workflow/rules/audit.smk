# The manifest: every file of a run with its hash and the job that made it, when nothing else is written any more but what
# is written from it; both are stored with the results.

for target in TARGETS:

    rule:
        name:
            f"manifest_{target}"
        input:
            code=sources("distillery.audit.manifest", "distillery.audit.records", "distillery.config.profile"),
            ends=shown(target),
        output:
            manifest=f"{HOME[target]}/manifest.json",
        log:
            f"<logs>/{target}/manifest.log",
        params:
            target=target,
            config=os.path.relpath(workflow.configfiles[0]),
        message:
            f"Listing every file with its hash, {target}"
        shell:
            "python -m distillery manifest --config {params.config} --target {params.target}"
            " --ends {input.ends} --out {output.manifest} 2>&1 | tee {log}"

    rule:
        name:
            f"checklists_{target}"
        input:
            code=sources("distillery.audit.checklists", "distillery.audit.ledger"),
            documents=["docs/data.md", "docs/decisions.md", "docs/reviewers.md"],
            manifest=f"{HOME[target]}/manifest.json",
        output:
            expand(f"{HOME[target]}/{{name}}", name=["checklist.md", "ledger.csv", "ledger.md"]),
        log:
            f"<logs>/{target}/checklists.log",
        params:
            target=target,
            profile=PROFILE.profile,
        message:
            f"Filling the checklists and the compute ledger, {target}"
        shell:
            "python -m distillery checklists --profile {params.profile} --target {params.target} 2>&1 | tee {log}"
