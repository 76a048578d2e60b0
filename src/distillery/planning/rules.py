"""From a job's rule and wildcards to its work: the names of the workflow's rules beside what they do."""

from __future__ import annotations

from collections.abc import Callable

from distillery.config.person_search import TESTS
from distillery.config.profile import Profile
from distillery.planning import search_work, tracking_work
from distillery.planning.datasets import embedded, frames_of, gigabytes_of, protocol_of
from distillery.planning.estimates import Estimates
from distillery.planning.work import Wildcards, Work, small

TARGETS = ("headline", "ablations")
Table = dict[str, Callable[[Wildcards], Work]]
PER_SEED = frozenset({"train_trackers", "train_search", "train_reid", "record_teacher", "lookup"})
"""Kinds that were measured with one seed a job."""


def rule_table(profile: Profile, estimates: Estimates) -> Table:
    """Rule -> function from a job's wildcards to its work, for every rule that a profile's DAG can have.

    A job without the wildcard `seed` is for all seeds of the profile.
    """
    table: Table = {
        **_dataset_rules(profile, estimates),
        **_tracking_rules(profile, estimates),
        **_search_rules(profile, estimates),
        **_paper_rules(profile, estimates),
    }
    if not embedded(profile):
        return table
    return {name: _as_measured(profile, estimates, find) for name, find in table.items()}


def work_of(table: Table, estimates: Estimates, rule: str, wildcards: Wildcards) -> Work:
    """Work of a job; a rule that the table lacks is a small one of kind `other`."""
    find = table.get(rule)
    return find(wildcards) if find else small(estimates, "other")


def _seeds(profile: Profile, wildcards: Wildcards) -> int:
    return 1 if "seed" in wildcards else len(profile.seeds)


def _dataset_rules(profile: Profile, estimates: Estimates) -> Table:
    def dataset(wildcards: Wildcards) -> Work:
        images = frames_of(profile, estimates, wildcards["benchmark"])
        return small(estimates, "dataset", images, disk_mb=images * 1e-4)

    def fetching(gigabytes: float) -> Callable[[Wildcards], Work]:
        return lambda wildcards: small(estimates, "fetch", gigabytes, disk_mb=0.0)

    table: Table = {f"fetch_{name}": fetching(gigabytes_of(profile, estimates, name)) for name in profile.data.names}
    table |= {"dataset": dataset, "fetch_weights": fetching(0.3)}
    return table | {"pretraining_data": lambda wildcards: small(estimates, "dataset")}


def _tracking_rules(profile: Profile, estimates: Estimates) -> Table:
    tracking = profile.tracking
    table: Table = {
        "crop_shards": lambda w: tracking_work.shards(profile, estimates, w["family"]),
        "crop_clips": lambda w: tracking_work.crops(profile, estimates, w["family"]),
        "record_teacher": lambda w: tracking_work.recording(
            profile, estimates, w["family"], w["teacher_run"], _seeds(profile, w)
        ),
        "select_students": lambda w: tracking_work.selection(profile, estimates, w["family"], w["strategy"]),
        "track_baseline": lambda w: tracking_work.trivial_tracking(profile, estimates),
    }
    for family, section in tracking.families.items():
        for run in section.runs:
            table[f"train_{family}_{run}"] = lambda w, family=family, run=run: tracking_work.training(  # type: ignore[misc]
                profile, estimates, family, run, _seeds(profile, w)
            )
    groups = {"benchmarks": tracking.benchmarks} if tracking.together else {n: (n,) for n in tracking.benchmarks}
    for group, names in groups.items():
        table[f"track_{group}"] = lambda w, names=names: tracking_work.tracking(  # type: ignore[misc]
            profile, estimates, w["family"], w["variant"], names, _seeds(profile, w)
        )
    # Of a test set whose boxes a server keeps, asked for by name: one seed on frames of the set that it belongs to.
    table["track_server_test"] = lambda w: tracking_work.tracking(
        profile, estimates, w["family"], w["variant"], (w["test"].removesuffix("_test"),), 1
    )
    table |= {name: lambda w: small(estimates, "answer") for name in ("submission", "server_answer")}
    for target in TARGETS:
        models = sum(
            len(profile.seeds) * len(run.networks)
            for section in tracking.families.values()
            for run in section.runs.values()
            if run.target == target
        )
        table[f"score_tracking_{target}"] = lambda w, models=models: small(  # type: ignore[misc]
            estimates, "score", models * frames_of(profile, estimates, w["benchmark"])
        )
    return table


def _search_rules(profile: Profile, estimates: Estimates) -> Table:
    search = profile.person_search
    table: Table = {
        "train_reid": lambda w: search_work.reid_training(profile, estimates, w["trained_on"], _seeds(profile, w)),
        "lookup_table": lambda w: search_work.lookup(
            profile, estimates, w["trained_on"], w["table"], _seeds(profile, w)
        ),
    }
    for network in search.pretraining.networks if search.pretraining else ():
        table[f"pretrain_{network}"] = lambda w, network=network: search_work.pretraining(  # type: ignore[misc]
            profile, estimates, network
        )
    groups = {"reid": ("reid", ["teacher"]), "baseline": ("baseline", list(search.baselines))}
    for name, run in search.runs.items():
        table[f"train_search_{name}"] = lambda w, name=name: search_work.training(  # type: ignore[misc]
            profile, estimates, w["trained_on"], name, w["network"], _seeds(profile, w)
        )
        groups[name] = (run.method, [f"{network}-{student}" for network in run.networks for student in run.students])
    for benchmark in search.benchmarks:
        for name, (method, variants) in groups.items():
            table[f"search_{benchmark}_{name}"] = lambda w, on=benchmark, method=method, variants=variants: (
                search_work.searching(  # type: ignore[misc]
                    profile,
                    estimates,
                    on,
                    method,
                    [w["variant"]] if "variant" in w else variants,
                    1 if method == "baseline" else _seeds(profile, w),
                )
            )
        for test in TESTS[benchmark]:
            images = protocol_of(profile, estimates, test).gallery
            for target in TARGETS:
                models = sum(
                    len(profile.seeds) * len(run.networks) * len(run.students)
                    for run in search.runs.values()
                    if run.target == target
                )
                table[f"score_{test}_{target}"] = lambda w, units=images * models: small(  # type: ignore[misc]
                    estimates, "score", units
                )
    return table


def _paper_rules(profile: Profile, estimates: Estimates) -> Table:
    on_gpu = {"profile_networks": True, "response_maps": True, "tables": False, "figures": False, "report": False}
    table: Table = {
        f"{kind}_{target}": lambda w, kind=kind, gpu=gpu: small(estimates, kind, gpu=gpu)  # type: ignore[misc]
        for kind, gpu in {**on_gpu, **dict.fromkeys(("claims", "manifest", "checklists", "publish"), False)}.items()
        for target in TARGETS
    }
    return table | {"feature_space": lambda w: small(estimates, "feature_space", gpu=True)}


def _as_measured(
    profile: Profile, estimates: Estimates, find: Callable[[Wildcards], Work]
) -> Callable[[Wildcards], Work]:
    """The same job with the time and memory that such a job took in an embedded profile."""

    def measured(wildcards: Wildcards) -> Work:
        work = find(wildcards)
        row = estimates.embedded.jobs.get(work.kind, estimates.embedded.jobs["other"])
        times = _seeds(profile, wildcards) if work.kind in PER_SEED else 1
        return Work(
            work.kind,
            work.amounts,
            work.gpu,
            seconds=times * row.seconds,
            memory_mb=row.memory_mb,
            gpu_memory_mb=2000.0 if work.gpu else 0.0,
            disk_mb=work.disk_mb,
        )

    return measured
