"""The re-identification teacher: a network on crops of people, trained to tell the training identities apart.

The feature is L2-normalised, the softmax runs over its cosines with one weight vector an identity, as in NormFace
(Wang et al., ACM MM 2017), so the features live on the sphere on which OIM compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distillery.config.search_distillation import ReIDTeacher
from distillery.person_search.dataset import Pixels, crops_as_input
from distillery.person_search.resnet import Head, Stem

_BATCH = 64


class ReIDNetwork(nn.Module):
    """Stem and head in one piece, then a linear layer and a BatchNorm to the feature, and the identities' weights.

    Args:
        teacher: Backbone, crop size and temperature.
        dimension: D, length of the feature.
        identities: Number of training identities.
    """

    def __init__(self, teacher: ReIDTeacher, dimension: int, identities: int) -> None:
        super().__init__()
        self.crop = teacher.crop
        self.temperature = teacher.temperature
        self.stem = Stem(teacher.shape)
        self.head = Head(teacher.shape)
        self.embedding = nn.Linear(self.head.channels, dimension, bias=False)
        self.norm = nn.BatchNorm1d(dimension)
        self.classifier = nn.Parameter(torch.empty(identities, dimension))
        nn.init.kaiming_normal_(self.embedding.weight)
        # Only directions count, but a step of the optimiser turns a short weight further than a long one.
        nn.init.normal_(self.classifier, std=0.05)

    def forward(self, crops: Tensor) -> Tensor:
        """Features (N, D) of length 1 for normalised crops (N, 3, h, w)."""
        features: Tensor = self.norm(self.embedding(self.head(self.stem(crops))).float())
        return F.normalize(features)

    def loss(self, features: Tensor, ids: Tensor) -> Tensor:
        """Softmax cross-entropy of features (N, D) and identities (N,)."""
        return F.cross_entropy(features @ F.normalize(self.classifier).T / self.temperature, ids)

    @torch.no_grad()
    def embed(self, crops: Iterable[Pixels], device: torch.device) -> Tensor:
        """Features (N, D) of length 1, on the CPU, of crops (H, W, 3) uint8 in the network's crop size."""
        self.eval()
        waiting, parts = iter(crops), [torch.zeros(0, self.embedding.out_features)]
        while batch := list(islice(waiting, _BATCH)):
            parts.append(self(crops_as_input(batch, device)).cpu())
        return torch.cat(parts)
