# The papers' claims, judged: from metrics and costs, by the tests that config/claims.yaml declares.
from distillery.config import claims, claims_job

try:
    LEDGER = claims.load(Path(workflow.basedir) / "config" / "claims.yaml")
except UserError as error:
    raise WorkflowError(str(error)) from None

for target in TARGETS:

    rule:
        name:
            f"claims_{target}"
        input:
            code=sources("distillery.paper.claims"),
            metrics=of_every_model(target, "metrics"),
            compute=f"{HOME[target]}/compute.json",
        output:
            captioned(f"{HOME[target]}/{{name}}.md", ["claims"], category="Claims"),
            json=f"{HOME[target]}/claims.json",
        log:
            f"<logs>/{target}/claims.log",
        params:
            job=parameters(claims_job.claims, target, LEDGER),
            files=paper_files,
        message:
            f"Judging the claims, {target}"
        shell:
            "python -m distillery claims --params {params.job:q} {params.files} 2>&1 | tee {log}"
