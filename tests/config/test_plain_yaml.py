"""YAML without tags and without repeated keys."""

from __future__ import annotations

import pytest
import yaml

from distillery.config.plain_yaml import load_yaml


def test_plain_values_are_those_of_the_safe_loader() -> None:
    text = "a: {b: [1, 2.5, null]}\nbase: &base {x: 1, y: 2}\nover: {<<: *base, x: 3}\n1: one\n"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("") is None


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "one: {k: 1, k: 1}\n", "- {1: a, 1: b}\n"])
def test_a_repeated_key_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="repeats"):
        load_yaml(text)


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [id]", "a: !!python/name:os.system ''"])
def test_a_tag_that_makes_an_object_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
