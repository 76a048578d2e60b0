"""Stem and head against torchvision's ResNet: its tensors, its parameter counts, its output."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18, resnet50

from distillery.config.search_network import ResNetShape
from distillery.engine import checkpoint
from distillery.errors import UserError
from distillery.person_search.network import OIMNetwork, build_network
from distillery.person_search.resnet import Head, Stem, load_pretrained
from person_search.search_jobs import search_training, student

R50 = ResNetShape(norm="batch")
R18 = ResNetShape(block="basic", depths=(2, 2, 2, 2), stem_blocks=2, norm="batch")
TINY = ResNetShape(block="basic", depths=(1, 1, 2, 1), width=4, stem_blocks=1, norm="batch")


def _count(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize(("shape", "peer", "count"), [(R50, resnet50, 23_508_032), (R18, resnet18, 11_176_512)])
def test_full_size_has_the_tensors_of_torchvision(shape, peer, count):
    stem, head = Stem(shape), Head(shape)
    expected = {name: value.shape for name, value in peer().state_dict().items() if not name.startswith("fc.")}
    found = {name: value.shape for half in (stem, head) for name, value in half.state_dict().items()}
    assert found == expected
    assert _count(stem, head) == count


def test_official_split_of_resnet50():
    stem, head = Stem(R50), Head(R50)
    assert [len(stem.layer1), len(stem.layer2), len(stem.layer3)] == [3, 4, 3]
    assert list(dict(head.layer3.named_children())) == ["3", "4", "5"]
    assert (stem.channels, stem.stride, head.channels) == (1024, 16, 2048)
    with torch.no_grad():
        assert stem.eval()(torch.zeros(1, 3, 64, 96)).shape == (1, 1024, 4, 6)
        conv5 = head.eval().layer4(head.layer3(torch.zeros(1, 1024, 14, 14)))
    assert conv5.shape == (1, 2048, 7, 7)


def test_split_of_resnet18_ends_after_conv4():
    stem, head = Stem(R18), Head(R18)
    assert (stem.channels, head.channels, len(head.layer3)) == (256, 512, 0)


def test_weights_of_torchvision_give_its_output(tmp_path: Path):
    torch.manual_seed(0)
    peer = resnet18().eval()
    for module in peer.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    save_file(peer.state_dict(), tmp_path / "resnet18.safetensors")
    stem, head = Stem(R18), Head(R18)
    load_pretrained(stem, head, tmp_path / "resnet18.safetensors")
    image = torch.randn(2, 3, 64, 32)
    peer.fc = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(head.eval()(stem.eval()(image)), peer(image))


def test_weights_of_another_architecture_are_refused(tmp_path: Path):
    save_file(resnet18().state_dict(), tmp_path / "resnet18.safetensors")
    with pytest.raises(UserError, match=r"resnet18\.safetensors: holds weights of another architecture"):
        load_pretrained(Stem(R50), Head(R50), tmp_path / "resnet18.safetensors")


def _checkpoint(shape: ResNetShape, path: Path) -> OIMNetwork:
    """A network of this paper whose every number is its own, and its checkpoint."""
    network = build_network(search_training(), student(shape=shape), 3)
    generator = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    checkpoint.save(path, network, {"kind": "oim"})
    return network


def test_a_network_of_this_paper_gives_its_backbone_and_nothing_else(tmp_path: Path):
    file = tmp_path / "large.safetensors"
    source = _checkpoint(TINY, file)
    names = set(load_file(file))
    assert {"stem.conv1.weight", "stem.bn1.running_mean", "head.layer4.0.conv1.weight"} <= names
    assert any(not name.startswith(("stem.", "head.")) for name in names), "it holds more than the backbone"
    stem, head = Stem(TINY), Head(TINY)
    load_pretrained(stem, head, file)
    for half, given in ((stem, source.stem), (head, source.head)):
        assert half.state_dict().keys() == given.state_dict().keys()
        assert all(torch.equal(value, given.state_dict()[name]) for name, value in half.state_dict().items())


def test_its_backbone_is_a_start_for_a_frozen_stem_too(tmp_path: Path):
    source = _checkpoint(TINY, tmp_path / "large.safetensors")
    frozen = TINY.model_copy(update={"norm": "frozen"})
    stem, head = Stem(frozen), Head(frozen)
    load_pretrained(stem, head, tmp_path / "large.safetensors")
    assert torch.equal(stem.bn1.running_mean, source.stem.bn1.running_mean)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (TINY.model_copy(update={"width": 8}), r"it holds '\w+1\.\w+' of shape \(4.*\), the network needs \(8"),
        (TINY.model_copy(update={"depths": (1, 1, 3, 1)}), r"it has no tensor 'layer3\.2\.conv1\.weight'"),
        (TINY.model_copy(update={"depths": (1, 1, 1, 1)}), r"it holds the unknown tensor 'layer3\.1\."),
    ],
)
def test_a_network_of_this_paper_of_another_shape_is_refused(tmp_path: Path, shape: ResNetShape, words: str):
    _checkpoint(TINY, tmp_path / "large.safetensors")
    with pytest.raises(UserError, match=rf"large\.safetensors: holds weights of another architecture: {words}"):
        load_pretrained(Stem(shape), Head(shape), tmp_path / "large.safetensors")


def test_stride_eight_leaves_out_one_halving():
    shape = TINY.model_copy(update={"stride": 8})
    stem = Stem(shape)
    assert stem.stride == 8
    assert stem(torch.zeros(2, 3, 48, 64)).shape == (2, 16, 6, 8)


def test_stem_may_end_before_conv4():
    shape = TINY.model_copy(update={"stem_blocks": 0})
    stem, head = Stem(shape), Head(shape)
    features = stem(torch.zeros(2, 3, 64, 64))
    assert (stem.stride, tuple(features.shape)) == (8, (2, stem.channels, 8, 8))
    assert head(features).shape == (2, head.channels)
    assert _count(stem, head) == _count(Stem(TINY), Head(TINY))


def test_frozen_norm_stays_as_it_is_in_training():
    shape = TINY.model_copy(update={"norm": "frozen"})
    stem, head = Stem(shape).train(), Head(shape).train()
    before = {name: value.clone() for name, value in stem.state_dict().items() if "running" in name}
    images = torch.randn(2, 3, 64, 64) + 3
    head(stem(images)).sum().backward()
    assert all(torch.equal(stem.state_dict()[name], value) for name, value in before.items())
    assert stem.bn1.weight.grad is None and not stem.bn1.training
    assert stem.conv1.weight.grad is not None
    assert head.layer4[0].bn1.training and head.layer4[0].bn1.weight.grad is not None
    assert _count(stem) == _count(Stem(TINY))
