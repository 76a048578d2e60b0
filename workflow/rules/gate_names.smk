# What the rules of test sets that a server scores share: which there are, what is sent, which answers are there.
ANSWERS = Path("answers") / PROFILE.profile


wildcard_constraints:
    test="trackingnet_test|got10k_test",


def server_tests():
    """Test set -> the dataset in whose folder it lies. TrackingNet's layout has it; GOT-10k's only where it was copied."""
    got10k = PROFILE.data.got10k
    copied = got10k.source == "local" and Path(got10k.root, "test").is_dir()
    tests = {"trackingnet_test": "trackingnet"} if "trackingnet" in TRACKING.benchmarks else {}
    return tests | ({"got10k_test": "got10k"} if copied else {})


def server_data(wildcards):
    return f"<data>/{wildcards.test.removesuffix('_test')}.json"


def server_sources(*modules):
    """Sources of a job on a test set: of its readers beside those named."""
    return lambda wildcards: sources(*modules, *registry.modules(wildcards.test))


def server_tracker_sources(wildcards):
    return sources(*families.tracking_modules(wildcards.family), *registry.modules(wildcards.test))


def server_answer(wildcards):
    """The saved answer of a server, in either of its forms; both at once are a mistake that nobody should resolve."""
    stem = ANSWERS / wildcards.test / wildcards.family / wildcards.variant / f"seed{wildcards.seed}"
    found = [f"{stem}{suffix}" for suffix in (".txt", ".json") if Path(f"{stem}{suffix}").is_file()]
    if len(found) > 1:
        raise WorkflowError(f"{found[0]} and {found[1]} answer the same submission. Keep the server's answer alone.")
    return found or f"{stem}.txt"


def answered(target):
    """Metrics of every tracker of a target that a server has answered for."""
    models = [model for part in upto(target) for model in tracker_models(part)]
    found = [(test, model) for test in server_tests() for model in models if any(ANSWERS.glob(f"{test}/{model}.*"))]
    return [f"<results>/metrics/{test}/{model}.json" for test, model in found]


def asked(target):
    """Submissions of every tracker of a target, first seed."""
    models = [model for model in tracker_models(target) if model.endswith(f"seed{PROFILE.seeds[0]}")]
    return expand("<results>/submissions/{test}/{model}.zip", test=server_tests(), model=models)
