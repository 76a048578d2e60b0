"""The benchmarks by name."""

from __future__ import annotations

import pytest

from distillery.errors import UserError
from distillery.person_search.benchmarks import registry
from person_search import builders


@pytest.fixture
def roots(tmp_path):
    prw = builders.write_prw_root(tmp_path / "PRW")
    return {"cuhk_sysu": builders.write_root(tmp_path / "CUHK-SYSU"), "prw": prw, "prw_mini": prw}


@pytest.mark.parametrize("name", registry.BENCHMARKS)
def test_everything_is_there_for_every_benchmark(roots, name):
    root = roots[name]
    pool, queries = registry.load_pool(name, root), registry.load_queries(name, root)
    protocol = registry.load_protocol(name, root)
    assert [query.image for query in protocol.queries] == [query.image for query in queries]
    assert all((registry.image_folder(name, root) / query.image).is_file() for query in queries)
    assert set(protocol.images) == {image.name for image in pool.images}
    assert [image.name for image in pool.images] == sorted(image.name for image in pool.images)
    assert all(0 <= query.identity < pool.identities for query in queries)
    for variant in registry.VARIANTS[name]:
        assert registry.load_protocol(name, root, variant=variant).queries


def test_training_sets(roots):
    for name in registry.TRAINING_SETS:
        train = registry.load_train(name, roots[name])
        found = {identity for image in train.images for identity in image.ids.tolist() if identity >= 0}
        assert found == set(range(train.identities))


def refused(action, *words):
    with pytest.raises(UserError) as caught:
        action()
    assert all(word in str(caught.value) for word in words), caught.value


def test_sizes_and_what_is_unknown(roots):
    assert registry.gallery_sizes("cuhk_sysu", roots["cuhk_sysu"]) == [2, 3]
    assert registry.load_protocol("cuhk_sysu", roots["cuhk_sysu"]).gallery_size == 3
    assert registry.load_protocol("cuhk_sysu", roots["cuhk_sysu"], gallery_size=2).gallery_size == 2
    assert registry.gallery_sizes("prw", roots["prw"]) == [-1]
    refused(lambda: registry.load_protocol("prw", roots["prw"], gallery_size=100), "no galleries of 100")
    refused(lambda: registry.load_protocol("prw", roots["prw"], variant="seqnet"), "official, cross_camera")
    refused(lambda: registry.load_pool("market", roots["prw"]), "'market'", "prw_mini")
    refused(lambda: registry.load_train("prw_mini", roots["prw"]), "prw_mini has no training images")


@pytest.mark.parametrize(("name", "lost"), [("cuhk_sysu", "Image/SSM/s4.jpg"), ("prw", "frames/c2s1_000006.jpg")])
def test_images_are_asked_for_where_they_are_needed(roots, name, lost):
    (roots[name] / lost).unlink()
    refused(lambda: registry.load_pool(name, roots[name]), lost, "does not exist")
    assert registry.load_pool(name, roots[name], need_images=False).images
    (roots[name] / lost).parent.rename(roots[name] / "elsewhere")
    refused(lambda: registry.load_pool(name, roots[name]), "does not exist")
