from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from distillery import arguments
from distillery.errors import UserError


def test_labels() -> None:
    assert arguments.label(["model=a", "variant=b=c", "seed=3"]) == {"model": "a", "variant": "b=c", "seed": 3}
    assert arguments.label([]) == {}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["numbers=3"], "--label: 'numbers' is no label; give model, variant, seed alone"),
        (["model=a", "model=b"], "--label: 'model' is given twice"),
        (["model"], "'model' is not NAME=VALUE"),
        (["seed=x"], "--label seed: 'x' is not a whole number"),
        (["seed=" + "9" * 5000], "--label seed: '99999999999999999999' is not a whole number"),
    ],
)
def test_faulty_labels(items: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        arguments.label(items)
    assert words in str(caught.value)


def test_json() -> None:
    assert arguments.plain_json('{"a": [1]}') == {"a": [1]}
    for text in ("{", "9" * 5000, "[" * 10**5):
        with pytest.raises(UserError, match=r"^--params: is not valid JSON") as caught:
            arguments.plain_json(text)
        assert len(str(caught.value)) < 120


def test_whose_metrics() -> None:
    found = arguments.metrics_of(["p/a=/m/siamfc/dim/seed2.json", "p/b=siamfc/dim-tsskd/seed10.json"])
    assert found == {
        Path("p/a"): (Path("/m/siamfc/dim/seed2.json"), {"model": "siamfc", "variant": "dim", "seed": 2}),
        Path("p/b"): (Path("siamfc/dim-tsskd/seed10.json"), {"model": "siamfc", "variant": "dim-tsskd", "seed": 10}),
    }


@pytest.mark.parametrize(
    "metrics",
    [
        "out.json",
        "a/b/out.json",
        "seed0.json",
        "v/seed0.json",
        "/v/seed0.json",
        "../v/seed0.json",
        "m/v/seed0",
        ".",
        "m/v/seed-1.json",
        "m/v/seed0.txt",
        "m/v/seed.json",
    ],
)
def test_metrics_without_an_owner(metrics: str) -> None:
    with pytest.raises(UserError, match=r"--pairs: .* does not say whose metrics these are; write them to"):
        arguments.metrics_of([f"results={metrics}"])


@pytest.mark.parametrize(
    ("items", "what"),
    [
        (["a=m/v/seed0.json", "a=m/v/seed1.json"], "'a'"),
        (["a=m/v/seed0.json", "./a/=m/v/seed1.json"], "'./a/'"),
        (["a=m/v/seed0.json", "b=m/v/seed0.json"], "'m/v/0'"),
        (["a=x/m/v/seed0.json", "b=y/m/v/seed00.json"], "'m/v/0'"),
    ],
)
def test_a_tracker_is_scored_once(items: list[str], what: str) -> None:
    with pytest.raises(UserError) as caught:
        arguments.metrics_of(items)
    assert f"--pairs: {what} is given twice" in str(caught.value)


def options(*on: tuple[str, str, str], benchmark: str | None = None, **paths: Path | None) -> Namespace:
    return Namespace(on=on, benchmark=benchmark, **{"root": None, "results": None} | paths)


def test_targets() -> None:
    one, two = ("lasot", "A", "X"), ("got10k", "B", "Y")
    assert arguments.targets(options(one, two)) == {"lasot": (Path("A"), Path("X")), "got10k": (Path("B"), Path("Y"))}
    both = options(one, benchmark="got10k", root=Path("B"), results=Path("Y"))
    assert arguments.targets(both) == arguments.targets(options(one, two))
    faults = {
        "lasot is named twice": options(one, ("lasot", "B", "Y")),
        "lasot is named twice; run": options(one, benchmark="lasot", root=Path("B"), results=Path("Y")),
        "needs its root and a folder": options(benchmark="lasot", root=Path("B")),
        "are those of --benchmark": options(one, results=Path("Y")),
        "no benchmark is named": options(),
    }
    for words, faulty in faults.items():
        with pytest.raises(UserError, match=words):
            arguments.targets(faulty)


class TestTrackRuns:
    def asked(self, *checkpoints: str, results: str = "out/{checkpoint}") -> Namespace:
        paths = [Path(checkpoint) for checkpoint in checkpoints] or None
        return Namespace(checkpoint=paths, **vars(options(("lasot", "A", results), ("got10k", "B", f"g/{results}"))))

    def test_each_checkpoint_has_folders_of_its_own(self) -> None:
        one, two = arguments.track_runs(self.asked("c/seed0.safetensors", "c/seed1.safetensors"))
        assert one == (
            Path("c/seed0.safetensors"),
            {"lasot": (Path("A"), Path("out/seed0")), "got10k": (Path("B"), Path("g/out/seed0"))},
        )
        assert two[1]["lasot"] == (Path("A"), Path("out/seed1"))

    def test_one_checkpoint_needs_no_placeholder(self) -> None:
        ((checkpoint, found),) = arguments.track_runs(self.asked("c/seed0.safetensors", results="out"))
        assert (checkpoint, found["lasot"]) == (Path("c/seed0.safetensors"), (Path("A"), Path("out")))

    def test_a_trivial_tracker_has_none(self) -> None:
        ((checkpoint, found),) = arguments.track_runs(self.asked(results="out"))
        assert checkpoint is None
        assert found["lasot"] == (Path("A"), Path("out"))

    def test_faults(self) -> None:
        with pytest.raises(UserError, match=r"would write to one place; put \{checkpoint\} into the results"):
            arguments.track_runs(self.asked("a/seed0.safetensors", "a/seed1.safetensors", results="out"))
        with pytest.raises(UserError, match=r"two checkpoints are called seed0; run them .* or put \{variant\}"):
            arguments.track_runs(self.asked("a/seed0.safetensors", "b/seed0.safetensors"))

    def test_one_checkpoint_may_be_sent_to_one_place_twice_which_the_runner_refuses(self) -> None:
        asked = Namespace(
            checkpoint=[Path("c/seed0.safetensors")], **vars(options(("lasot", "A", "out"), ("got10k", "B", "out")))
        )
        ((_, found),) = arguments.track_runs(asked)
        assert {results for _, results in found.values()} == {Path("out")}


class TestSearchRuns:
    def asked(self, *checkpoints: str, results: str = "{test}/{checkpoint}.npz") -> Namespace:
        paths = [Path(checkpoint) for checkpoint in checkpoints] or None
        named = [f"{test}={results.replace('{test}', test)}" for test in ("prw", "prw_mini")]
        return Namespace(checkpoint=paths, baseline=None if paths else "histogram", results=named)

    def test_each_checkpoint_has_files_of_its_own(self) -> None:
        one, two = arguments.search_runs(self.asked("c/seed0.safetensors", "c/seed1.safetensors"))
        assert one == (
            Path("c/seed0.safetensors"),
            {"prw": Path("prw/seed0.npz"), "prw_mini": Path("prw_mini/seed0.npz")},
        )
        assert two == (
            Path("c/seed1.safetensors"),
            {"prw": Path("prw/seed1.npz"), "prw_mini": Path("prw_mini/seed1.npz")},
        )

    def test_checkpoints_of_one_name_are_told_apart_by_their_folders(self) -> None:
        asked = self.asked(
            "m/a/seed0.safetensors", "m/b/seed0.safetensors", results="{test}/{variant}/{checkpoint}.npz"
        )
        assert [found["prw"] for _, found in arguments.search_runs(asked)] == [
            Path("prw/a/seed0.npz"),
            Path("prw/b/seed0.npz"),
        ]
        alone = self.asked("m/a/seed0.safetensors", "m/b/seed0.safetensors", results="{test}/{variant}.npz")
        assert [found["prw"] for _, found in arguments.search_runs(alone)] == [Path("prw/a.npz"), Path("prw/b.npz")]

    def test_the_folder_is_the_one_that_was_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A checkpoint that DVC restored may be a link into its cache; and the working directory has a name, too."""
        (tmp_path / "cache").mkdir()
        (tmp_path / "large-oim").mkdir()
        (tmp_path / "cache" / "d41d").touch()
        link = tmp_path / "large-oim" / "seed0.safetensors"
        link.symlink_to(tmp_path / "cache" / "d41d")
        for path in (str(link), "seed0.safetensors"):
            monkeypatch.chdir(link.parent)
            ((_, found),) = arguments.search_runs(self.asked(path, results="{test}/{variant}/{checkpoint}.npz"))
            assert found["prw"] == Path("prw/large-oim/seed0.npz")

    def test_one_checkpoint_needs_no_placeholder(self) -> None:
        assert arguments.search_runs(self.asked("c/seed0.safetensors", results="{test}.npz")) == [
            (Path("c/seed0.safetensors"), {"prw": Path("prw.npz"), "prw_mini": Path("prw_mini.npz")})
        ]

    def test_a_trivial_method_has_no_checkpoint(self) -> None:
        assert arguments.search_runs(self.asked(results="{test}.npz")) == [
            ("histogram", {"prw": Path("prw.npz"), "prw_mini": Path("prw_mini.npz")})
        ]

    @pytest.mark.parametrize("results", ["{test}.npz", "{test}/{variant}.npz"])
    def test_several_checkpoints_into_one_file(self, results: str) -> None:
        with pytest.raises(UserError, match=r"would write to one place; put \{checkpoint\} into the results"):
            arguments.search_runs(self.asked("a/seed0.safetensors", "a/seed1.safetensors", results=results))

    def test_the_file_of_another_benchmark_counts(self) -> None:
        asked = self.asked("a/seed0.safetensors", "a/seed1.safetensors")
        asked.results = ["prw={checkpoint}.npz", "prw_mini=seed0.npz"]
        with pytest.raises(UserError, match="would write to one place"):
            arguments.search_runs(asked)

    def test_two_of_one_name(self) -> None:
        for other in ("b/seed0.safetensors", "a/seed0.safetensors"):
            with pytest.raises(UserError, match=r"--checkpoint: two checkpoints are called seed0; .* \{variant\}"):
                arguments.search_runs(self.asked("a/seed0.safetensors", other))

    def test_a_benchmark_named_twice(self) -> None:
        with pytest.raises(UserError, match="--results: 'prw' is given twice"):
            arguments.search_runs(Namespace(checkpoint=None, baseline="histogram", results=["prw=a", "prw=b"]))


class TestEachSeed:
    def asked(self, *seeds: str, out: str | Path = "o/{seed}.x", **read: object) -> Namespace:
        return Namespace(seeds=list(seeds), out=out, params="{seed}", **read)

    def test_without_seeds_nothing_changes(self) -> None:
        asked = self.asked(out=Path("{seed}"))
        assert list(arguments.each_seed(asked)) == [({}, asked)]

    def test_the_seed_stands_in_files_alone(self) -> None:
        asked = self.asked("2", "0", out=Path("o{seed}"), table=["a=t/{seed}/{seed}", "b=t"], detector=None)
        (change, first), (other, second) = arguments.each_seed(asked, "table", "detector")
        assert (change, other) == ({"seed": 2}, {"seed": 0})
        assert (first.out, first.table, first.detector) == (Path("o2"), ["a=t/2/2", "b=t"], None)
        assert first.params == "{seed}"
        assert (second.out, second.table) == (Path("o0"), ["a=t/0/0", "b=t"])
        assert asked.out == Path("o{seed}"), "what was asked for stays"

    def test_one_seed_needs_no_place_in_the_file(self) -> None:
        ((change, files),) = arguments.each_seed(self.asked("3", out="o.x"))
        assert (change, files.out) == ({"seed": 3}, "o.x")

    @pytest.mark.parametrize(
        ("seeds", "out", "words"),
        [
            (["0", "00"], "{seed}", "--seeds: 0 is given twice; give each seed once, from 0 on"),
            (["-1"], "{seed}", "--seeds: -1 is negative; give each seed once, from 0 on"),
            (["one"], "{seed}", "--seeds: 'one' is not a whole number"),
            (["0", "1"], Path("o.x"), "--out: all seeds would write o.x; put {seed} into the name of the file"),
            (["0", "1"], ["a={seed}", "b=o.x"], "--out: all seeds would write b=o.x"),
        ],
    )
    def test_faulty_seeds(self, seeds: list[str], out: str | Path, words: str) -> None:
        with pytest.raises(UserError) as caught:
            list(arguments.each_seed(self.asked(*seeds, out=out)))
        assert words in str(caught.value)
