"""The policy that searches for students: an autoregressive LSTM trained with REINFORCE (N2N learning, section 3)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distillery.distill.selection import ACTIONS, LayerCode, Ratios, Space
from distillery.engine.randomness import seed_torch, torch_generator

ATTEMPTS = 4096
"""Roll-outs that an update draws at most to find children within the budget."""
BLOCK = 64
"""Roll-outs drawn at a time."""
SMALLEST_SPREAD = 1e-6
"""Rewards that differ by less differ by rounding."""


def encode(layer: LayerCode) -> list[float]:
    """A layer as numbers of the order of 1: sizes by their logarithm, because the raw ones saturate an LSTM."""
    return [
        float(layer.kind),
        math.log2(layer.kernel) / 3,
        math.log2(layer.stride),
        math.log2(layer.channels) / 8,
        float(layer.padding),
    ]


class Policy(nn.Module):
    """pi(a_1 … a_L) = product over l of pi(a_l | layers 1 … l, a_1 … a_(l-1)), over the actions 0.1 … 1.

    Args:
        layers: The teacher's layers.
        hidden: Width of each of the two LSTM layers (N2N: 30).
    """

    def __init__(self, layers: Sequence[LayerCode], hidden: int) -> None:
        super().__init__()
        self.codes = torch.tensor([encode(layer) for layer in layers])
        width = self.codes.shape[1] + len(ACTIONS)
        self.cells = nn.ModuleList([nn.LSTMCell(width, hidden), nn.LSTMCell(hidden, hidden)])
        self.head = nn.Linear(hidden, len(ACTIONS))

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws `count` roll-outs: (count, L) indices of actions."""
        return self._roll(count, None, generator)[0]

    def log_probability(self, actions: Tensor) -> Tensor:
        """(B, L) indices of actions -> (B,) log pi."""
        return self.judge(actions)[0]

    def judge(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) indices of actions -> (B,) log pi and (B,) entropy of the policy, summed along the roll-out."""
        return self._roll(len(actions), actions, None)[1:]

    def _roll(
        self, count: int, given: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Goes through the layers, drawing each action or taking the given one: actions, log pi, entropy."""
        hidden = self.head.in_features
        states = [(torch.zeros(count, hidden), torch.zeros(count, hidden)) for _ in self.cells]
        previous = torch.zeros(count, len(ACTIONS))  # no action yet
        chosen, total, entropy = [], torch.zeros(count), torch.zeros(count)
        for index, code in enumerate(self.codes):
            signal = torch.cat([code.expand(count, -1), previous], dim=1)
            for depth, cell in enumerate(self.cells):
                states[depth] = cell(signal, states[depth])
                signal = states[depth][0]
            scores = F.log_softmax(self.head(signal), dim=1)
            action = torch.multinomial(scores.exp(), 1, generator=generator)[:, 0] if given is None else given[:, index]
            total = total + scores.gather(1, action[:, None])[:, 0]
            entropy = entropy - (scores.exp() * scores).sum(1)
            previous = F.one_hot(action, len(ACTIONS)).to(scores.dtype)
            chosen.append(action)
        return torch.stack(chosen, dim=1), total, entropy


def reinforce(log_probability: Tensor, rewards: Tensor, baseline: float, scale: float = 1.0) -> Tensor:
    """Loss whose negative gradient is the REINFORCE estimate: -mean over roll-outs of (R - b) / s * log pi (N2N).

    Args:
        log_probability: (B,) of the roll-outs.
        rewards: (B,).
        baseline: b.
        scale: s.
    """
    return -((rewards - baseline) / scale * log_probability).mean()


class PolicySearch:
    """The policy as a strategy of `selection.search`.

    Roll-outs over the budget are drawn again, as their size is known without training. What is left follows the policy
    conditioned on the budget; its REINFORCE gradient differs by (E[R] - b) times a constant, which vanishes as the
    baseline approaches the mean reward. A policy that no longer meets the budget in `ATTEMPTS` draws is told so by the
    negative reward of its last draws.

    The baseline b is the mean of all rewards of earlier updates (N2N); the first update, which has none, takes the mean
    of its own, since a baseline of 0 would push the policy towards whatever was drawn first. The advantage R - b is
    divided by the standard deviation of all rewards so far, so that the weight of the entropy means the same whatever
    the rewards' spread is. Without entropy (N2N) the few roll-outs of a search make the policy certain long before it
    has seen enough.

    Args:
        space: What is searched.
        seed: Of the job; initial weights and every draw derive from it.
        children: Roll-outs an update.
        hidden: Width of the LSTM.
        learning_rate: Of Adam.
        entropy: Weight of the policy's entropy, >= 0.
    """

    def __init__(
        self, space: Space, seed: int, children: int, *, hidden: int, learning_rate: float, entropy: float = 0.0
    ) -> None:
        self.space, self.seed, self.children = space, seed, children
        with torch.random.fork_rng(devices=[]):
            seed_torch(seed, "policy")
            self.policy = Policy(space.layers, hidden)
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=learning_rate)
        self.entropy = entropy
        self.rewards: list[float] = []

    def propose(self, update: int) -> list[Ratios]:
        """`children` roll-outs of the present policy, within the budget."""
        generator = torch_generator(self.seed, "roll-outs", update)
        found: list[Ratios] = []
        last: list[Ratios] = []
        for _ in range(ATTEMPTS // BLOCK):
            drawn = self.policy.sample(BLOCK, generator).tolist()
            last = [tuple(ACTIONS[action] for action in row) for row in drawn]
            found += [ratios for ratios in last if self.space.fits(ratios)]
            if len(found) >= self.children:
                return found[: self.children]
        return found + last[: self.children - len(found)]

    def learn(self, ratios: Sequence[Ratios], rewards: Sequence[float]) -> None:
        """One step of Adam along the REINFORCE gradient."""
        earlier = list(self.rewards or rewards)
        actions = torch.tensor([[ACTIONS.index(ratio) for ratio in row] for row in ratios])
        self.rewards += rewards
        scale = max(statistics.pstdev(self.rewards), SMALLEST_SPREAD)
        log_probability, entropy = self.policy.judge(actions)
        loss = reinforce(log_probability, torch.tensor(rewards), sum(earlier) / len(earlier), scale)
        loss = loss - self.entropy * entropy.mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
