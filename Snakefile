# Regenerates both papers: data -> teachers -> lookup -> students -> benchmarks -> paper -> store.
from snakemake.utils import min_version

min_version("9.20")

# Without --configfile the budget is `mini`; another profile stands alone and is never merged with it.
if "profile" not in config:

    configfile: "config/mini.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/tracking_names.smk"
include: "workflow/rules/data_names.smk"
include: "workflow/rules/shard_names.smk"
include: "workflow/rules/search_names.smk"
include: "workflow/rules/paper_names.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/shards.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/teachers.smk"
include: "workflow/rules/lookup.smk"
include: "workflow/rules/students.smk"
include: "workflow/rules/benchmarks.smk"
include: "workflow/rules/parts.smk"
include: "workflow/rules/gate_names.smk"
include: "workflow/rules/gates.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/store.smk"
include: "workflow/rules/needed.smk"


localrules:
    all,
    ablations,
    submissions,
    publish_headline,
    publish_ablations,
    manifest_headline,
    manifest_ablations,
    checklists_headline,
    checklists_ablations,


rule ablations:
    input:
        "<results>/ablations/report.html",
        "<results>/ablations/store.json",


rule all:
    default_target: True
    input:
        "<results>/report.html",
        "<results>/store.json",


rule submissions:
    input:
        asked("headline"),


# One environment serves every job: the one Snakemake runs in, or with `--sdm conda` one made for the jobs. What a job
# is given stands in resources.smk, for all rules alike.
for job_rule in workflow.rules:
    if not job_rule.norun:
        job_rule.conda_env = str(Path(workflow.basedir) / "environment.yml")
        for name, amount in estimated(job_rule).items():
            job_rule.resources[name] = amount


include: "workflow/rules/batch.smk"
