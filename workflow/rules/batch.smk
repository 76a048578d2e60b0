# What rules need where a batch system runs their jobs (docs/cluster.md). Read last, since it goes over all of them.
import ast

from distillery import relay

if workflow.remote_exec:
    # A warning that a job is about to lose its node is for the command alone: a training saves its state and leaves.
    relay.start()
    shell.prefix(f"set -euo pipefail; {relay.SHIELD}")

# A profile that names a kind of `gres` for all jobs means: those that need GPUs ask for them so, and not as `gpu`.
for job_rule in workflow.rules:
    kind = job_rule.resources["gres"].raw if "gres" in job_rule.resources and not job_rule.norun else None
    if kind and (kind := ast.literal_eval(kind)):
        job_rule.resources["gres"] = as_gres(kind, job_rule.resources["gpu"]) if "gpu" in job_rule.resources else ""
        job_rule.resources["gpu"] = 0
