# Which datasets come from the register, and how their rules know them.
from distillery.config.data import RegistryCopy
from distillery.config.registry import load_registry

REGISTERED = {name: section for name, section in PROFILE.data if isinstance(section, RegistryCopy)}


def is_open(name):
    """Whether a set comes by itself; one that has to be asked for is not tried again."""
    return load_registry(REGISTERED[name].registry).find(name)[1].access == "open"


def fetched(wildcards):
    """The record of a set of the register, which its rule writes; nothing for any other set."""
    copy = REGISTERED.get(wildcards.benchmark)
    return f"{copy.root}.fetched.json" if copy else []
