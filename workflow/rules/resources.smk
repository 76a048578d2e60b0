# What a job is given: minutes, megabytes of memory and disk, GPUs, from the plan's table (config/estimates.yaml) and the
# job's own parameters; a retry gets more time and memory. Without limits (`--resources mem_mb=…`) a local run regards none
# of them, where GPUs are counted (profiles/gpu) jobs take turns on them.
from distillery.planning import resources as planned

runtime_of, memory_of, disk_of, gpus_of = planned.functions(
    PROFILE, Path(workflow.basedir) / "config" / "estimates.yaml"
)


def estimated(rule):
    """The resources of a rule but those that the command line or a profile sets for it (`--set-resources`)."""
    amounts = {"runtime": runtime_of, "mem_mb": memory_of, "disk_mb": disk_of, "gpu": gpus_of}
    chosen = workflow.resource_settings.overwrite_resources.get(rule.name, ())
    return {name: amount for name, amount in amounts.items() if name not in chosen}


def as_gres(kind, gpus):
    """A rule's GPUs as a generic resource of SLURM's: `gpu:a100:1` for one of the kind `gpu:a100`, else nothing."""

    def gres(wildcards, input, attempt, threads, rulename):
        known = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename}
        count = gpus.evaluate(wildcards, **known).value
        return f"{kind}:{count}" if count else ""

    return gres
