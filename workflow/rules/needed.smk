# Nothing is run when something is missing that does not come by itself: one message says what to get, and how. A dry run
# needs no data.
from distillery.planning import needed


def read_by_this_run():
    """Sets and weights that the jobs which are about to be run read."""
    jobs = list(workflow.dag.needrun_jobs())
    sets = {job.wildcards.benchmark for job in jobs if job.rule.name == "dataset"}
    trained = any(job.rule.name.startswith("train_") for job in jobs)
    return sorted(sets), needed.weights_of(PROFILE) if trained else []


onstart:
    if said := needed.message(needed.absent(PROFILE, *read_by_this_run())):
        raise WorkflowError(said)
