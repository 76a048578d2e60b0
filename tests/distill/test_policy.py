"""The policy: probabilities, the REINFORCE gradient against its formula, and whether it finds what is to be found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch

from distillery.distill import policy
from distillery.distill.policy import Policy, PolicySearch, reinforce
from distillery.distill.selection import ACTIONS, LayerCode, RandomSearch, Ratios, Space, Strategy, search

LAYERS = (LayerCode(0, 11, 2, 96), LayerCode(0, 5, 1, 256), LayerCode(1, 3, 1, 384))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def make(layers: Sequence[LayerCode] = LAYERS, hidden: int = 8) -> Policy:
    torch.manual_seed(0)
    return Policy(layers, hidden)


def free(count: int) -> Space:
    """A space in which everything fits."""
    layers = tuple(LayerCode(0, 3, 1, 32 * (index + 1)) for index in range(count))
    return Space(layers, lambda ratios: tuple(round(10 * ratio) for ratio in ratios), lambda ratios: 1, 1000, 2.0)


class TestPolicy:
    def test_is_a_distribution_over_roll_outs(self) -> None:
        made = make(LAYERS[:2])
        every = torch.tensor(list(itertools.product(range(len(ACTIONS)), repeat=2)))
        assert made.log_probability(every).exp().sum().item() == pytest.approx(1, abs=1e-5)

    def test_depends_on_the_layer_and_on_earlier_actions(self) -> None:
        made = make()
        with torch.no_grad():
            made.head.weight.mul_(20)
        others = (LayerCode(0, 3, 1, 96), *LAYERS[1:])
        again = make(others)
        again.load_state_dict(made.state_dict())
        actions = torch.tensor([[3, 3, 3]])
        assert made.log_probability(actions) != again.log_probability(actions)
        # log pi(a, b) - log pi(a) = log pi(b | a) is not the same for every a.
        pair = Policy(LAYERS[:2], 8)
        pair.load_state_dict(made.state_dict())
        alone = Policy(LAYERS[:1], 8)
        alone.load_state_dict(made.state_dict())
        given = [
            pair.log_probability(torch.tensor([[a, 3]])) - alone.log_probability(torch.tensor([[a]])) for a in (0, 9)
        ]
        assert abs(given[0] - given[1]).item() > 1e-3

    def test_samples_follow_the_probabilities(self) -> None:
        made = make(LAYERS[:1])
        with torch.no_grad():
            made.head.bias.copy_(torch.linspace(-1, 1, len(ACTIONS)))
        drawn = made.sample(20_000, torch.Generator().manual_seed(0))[:, 0]
        expected = made.log_probability(torch.arange(len(ACTIONS))[:, None]).exp()
        found = torch.bincount(drawn, minlength=len(ACTIONS)) / len(drawn)
        assert torch.allclose(found, expected, atol=0.012)


class TestReinforce:
    def test_loss_by_hand(self) -> None:
        # -((1 - 0.5) * -1 + (0 - 0.5) * -3) / 2 = -(-0.5 + 1.5) / 2
        assert reinforce(torch.tensor([-1.0, -3.0]), torch.tensor([1.0, 0.0]), 0.5).item() == pytest.approx(-0.5)

    def test_gradient_is_the_formula(self) -> None:
        """One layer: d/d bias of the softmax is mean of (R - b) (one-hot - p), and Adam goes uphill."""
        made = make(LAYERS[:1])
        actions, rewards, baseline = torch.tensor([[2], [7], [7]]), torch.tensor([0.9, 0.1, 0.4]), 0.3
        probabilities = made.log_probability(torch.arange(len(ACTIONS))[:, None]).exp().detach()
        hot = torch.nn.functional.one_hot(actions[:, 0], len(ACTIONS)).float()
        expected = ((rewards - baseline)[:, None] * (hot - probabilities)).mean(0)
        reinforce(made.log_probability(actions), rewards, baseline).backward()
        assert torch.allclose(-made.head.bias.grad, expected, atol=1e-6)

    def test_no_advantage_no_gradient(self) -> None:
        made = make()
        reinforce(made.log_probability(torch.tensor([[1, 2, 3]])), torch.tensor([0.7]), 0.7).backward()
        assert all(not parameter.grad.any() for parameter in made.parameters())


class TestSearch:
    def searcher(self, space: Space, seed: int = 0, **changes: float) -> PolicySearch:
        return PolicySearch(space, seed, 3, hidden=30, **({"learning_rate": 0.03} | changes))  # type: ignore[arg-type]

    def test_bandit(self) -> None:
        """The better arm gains probability, the worse ones lose it."""
        made = self.searcher(free(1))
        arms = torch.arange(len(ACTIONS))[:, None]
        before = made.policy.log_probability(arms).exp()
        for update in range(60):
            arms_drawn = made.propose(update)
            made.learn(arms_drawn, [1.0 if ratio == 0.4 else 0.0 for (ratio,) in arms_drawn])
        after = made.policy.log_probability(arms).exp()
        assert after[3] > 0.9 > 0.3 > before[3]

    def test_baseline_is_the_mean_of_earlier_rewards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made, seen = self.searcher(free(1)), []
        loss = policy.reinforce
        monkeypatch.setattr(policy, "reinforce", lambda *given: seen.append(given[2:]) or loss(*given))
        for rewards in ([0.3, 0.6, 0.0], [0.9, 0.9, 0.9], [0.0, 0.0, 0.0]):
            made.learn([(0.1,), (0.2,), (0.3,)], rewards)
        # Its own mean at first; then 0.9 / 3, then (0.9 + 2.7) / 6.
        assert [baseline for baseline, _ in seen] == pytest.approx([0.3, 0.3, 0.6])
        # Mean square minus squared mean: .45/3 - .09; 2.88/6 - .36; 2.88/9 - .16.
        assert [scale for _, scale in seen] == pytest.approx([0.06**0.5, 0.12**0.5, 0.16**0.5])

    def test_equal_seeds_equal_searches(self) -> None:
        def trace(seed: int) -> list[list[Ratios]]:
            made, seen = self.searcher(free(3), seed), []
            for update in range(5):
                seen.append(made.propose(update))
                made.learn(seen[-1], [sum(ratios) for ratios in seen[-1]])
            return seen

        state = torch.get_rng_state()
        one = trace(0)
        torch.rand(7)  # the global generator does not matter
        assert trace(0) == one
        assert trace(1) != one
        torch.set_rng_state(state)
        trace(0)
        assert torch.equal(torch.get_rng_state(), state)  # nor is it touched

    def test_children_keep_the_budget(self) -> None:
        base = free(3)
        tight = Space(base.layers, base.channels, lambda ratios: round(1000 * sum(ratios) / 3), 1000, 2.0)
        made = self.searcher(tight)
        for update in range(20):
            proposals = made.propose(update)
            assert all(tight.fits(ratios) for ratios in proposals)
            made.learn(proposals, [0.5] * len(proposals))

    def test_a_budget_that_is_never_met_still_gives_children(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy, "ATTEMPTS", 2 * policy.BLOCK)
        base = free(2)
        hopeless = Space(base.layers, base.channels, lambda ratios: 999, 1000, 2.0)
        assert len(self.searcher(hopeless).propose(0)) == 3

    def test_entropy_keeps_a_policy_uncertain(self) -> None:
        """Where all rewards are equal, the entropy's weight leads back to the uniform distribution."""
        made = self.searcher(free(1), entropy=1.0)
        with torch.no_grad():
            made.policy.head.bias.copy_(torch.linspace(-2, 2, len(ACTIONS)))
        before = made.policy.judge(torch.tensor([[0]]))[1].item()
        for _ in range(60):
            made.learn([(0.1,), (0.5,), (1.0,)], [0.5, 0.5, 0.5])
        after = made.policy.judge(torch.tensor([[0]]))[1].item()
        assert before < 2.1
        assert after == pytest.approx(math.log(10), abs=0.05)

    def test_entropy_is_that_of_the_distribution(self) -> None:
        made = make(LAYERS[:1])
        scores = made.log_probability(torch.arange(len(ACTIONS))[:, None])
        found = made.judge(torch.tensor([[4]]))[1].item()
        assert found == pytest.approx(-(scores.exp() * scores).sum().item(), abs=1e-5)

    def test_finds_the_optimum_more_often_than_random_search(self) -> None:
        """Three layers with one right action each: 1000 children, of which 240 are drawn at most."""
        right, space = (0.3, 0.8, 0.1), free(3)

        def evaluate(children: Sequence[Ratios]) -> list[float]:
            return [sum(a == b for a, b in zip(child, right, strict=True)) / 3 for child in children]

        def found(strategy: Strategy) -> bool:
            rounds = search(space, strategy, evaluate, teacher_accuracy=1.0, updates=80)
            return any(visit.accuracy == 1.0 for seen in rounds for visit in seen)

        seeds = range(6)
        by_policy = sum(found(self.searcher(space, seed, entropy=0.3)) for seed in seeds)
        by_chance = sum(found(RandomSearch(space, seed, 3)) for seed in seeds)
        assert by_policy >= 5
        assert by_chance <= 3
