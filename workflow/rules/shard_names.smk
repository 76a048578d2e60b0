# What the rules share of the crops of several training sets.
from distillery.tracking.training_sets import registry as training_sets


def shards_of(family):
    """What the shards of a family are told in; families that ask for the same crops share them."""
    asked = jobs.shards(PROFILE, family)
    home = next(name for name in TRACKING.families if jobs.shards(PROFILE, name) == asked)
    return f"<recordings>/{home}/shards.json"


def training_data(family):
    """What a family's pairs are drawn from: shards, or the clips of GOT-10k."""
    return shards_of(family) if TRACKING.families[family].pairs.sources else "<data>/got10k.json"


def recorded_data(wildcards):
    return training_data(wildcards.family)


def source_names(wildcards):
    return [source.name for source in TRACKING.families[wildcards.family].pairs.sources]


def shard_sources(wildcards):
    """Readers are imported by name, so the import graph of the command does not show them."""
    return sources("distillery.tracking.crop_shards", *training_sets.modules(*source_names(wildcards)))


def shard_data(wildcards):
    """Manifests of the sets whose objects are cropped."""
    return expand("<data>/{name}.json", name=source_names(wildcards))


def shards_job(wildcards):
    return parameters(jobs.shards, wildcards.family)
