"""The determinism certificate, on two copies of a finished project of which one is changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from audit.conftest import TABLE, Tiny, metrics, predictions, tracker
from distillery.audit import determinism, manifest
from distillery.audit.determinism import DIFFERS, DRAWN, EQUAL, ONE_SIDED, TIMES, Certificate
from distillery.cli import main
from distillery.errors import UserError


@pytest.fixture
def pair(finished: Tiny, tmp_path: Path) -> tuple[Tiny, Tiny]:
    """Two copies in different folders."""
    both = []
    for place in ("one", "else/where"):
        shutil.copytree(finished.root, tmp_path / place, symlinks=True)
        both.append(Tiny(tmp_path / place))
    return both[0], both[1]


def loaded(tiny: Tiny) -> manifest.Manifest:
    return manifest.load(tiny.root, Path("results/tiny/manifest.json"))


def compared(pair: tuple[Tiny, Tiny]) -> Certificate:
    first, second = pair
    return determinism.compare((first.root, second.root), (loaded(first), loaded(second)), ("1 core", "2 cores"))


def verdicts(certificate: Certificate) -> dict[str, str]:
    return {one.path: one.verdict for one in certificate.files}


def test_copies_are_equal_to_the_last_file(pair: tuple[Tiny, Tiny]) -> None:
    certificate = compared(pair)
    assert certificate.holds and set(verdicts(certificate).values()) == {EQUAL}
    assert set(verdicts(certificate)) == set(loaded(pair[0]).artefacts)
    assert certificate.content()["counts"] == {"equal": len(certificate.files)}


def test_seconds_of_an_index_are_explained(pair: tuple[Tiny, Tiny]) -> None:
    name = f"{predictions(0)}.json"
    index = pair[1].read(name)
    for sequence in index["sequences"].values():
        sequence["seconds"] += 1.0
    index["speed"]["frames_per_second"] = 3.0
    pair[1].write(name, index)
    pair[1].build()
    certificate = compared(pair)
    assert certificate.holds
    assert [path for path, verdict in verdicts(certificate).items() if verdict != EQUAL] == [name]
    assert verdicts(certificate)[name] == TIMES
    assert "seconds that the network took" in certificate.page()


def test_other_hashes_in_an_index_are_not(pair: tuple[Tiny, Tiny]) -> None:
    name = f"{predictions(0)}.json"
    index = pair[1].read(name)
    next(iter(index["sequences"].values()))["sha256"] = "0" * 64
    pair[1].write(name, index)
    pair[1].build()
    certificate = compared(pair)
    assert not certificate.holds and verdicts(certificate)[name] == DIFFERS


@pytest.mark.parametrize("name", [f"{tracker(1)}.safetensors", metrics(0), TABLE])
def test_nothing_else_may_differ(pair: tuple[Tiny, Tiny], name: str) -> None:
    pair[1].path(name).write_text(pair[1].path(name).read_text() + " ")
    pair[1].build()
    certificate = compared(pair)
    assert not certificate.holds
    assert [path for path, verdict in verdicts(certificate).items() if verdict == DIFFERS] == [name]


def test_a_file_of_one_run_alone_is_named(pair: tuple[Tiny, Tiny]) -> None:
    (added,) = [pair[1].path(predictions(0)) / "Added001.txt"]
    added.write_text("1,2,3,4\n")
    pair[1].build()
    certificate = compared(pair)
    assert verdicts(certificate)[f"{predictions(0)}/Added001.txt"] == ONE_SIDED and not certificate.holds


def test_another_parameter_or_source_of_a_job_is_named(pair: tuple[Tiny, Tiny]) -> None:
    content = pair[1].read("results/tiny/manifest.json")
    (name,) = [name for name in content["jobs"] if name.startswith("train_") and "seed0" in name]
    content["jobs"][name]["parameters"] = "0" * 64
    (other,) = [name for name in content["jobs"] if name.startswith("dataset")]
    content["jobs"][other]["code"] = {"src/x.py": "0" * 64}
    pair[1].write("results/tiny/manifest.json", content)
    certificate = compared(pair)
    assert not certificate.holds
    assert [line.rpartition(": ")[2] for line in certificate.jobs] == [
        "other source, src/distillery/code.py",
        "other parameters",
    ]


def test_a_drawing_is_as_good_as_what_it_was_drawn_from(pair: tuple[Tiny, Tiny]) -> None:
    """Bytes of a figure of speeds may differ, unless the tables under it do."""
    figure = "results/tiny/figures/bubbles.svg"

    def draw(tiny: Tiny, text: str) -> None:
        tiny.write(figure, text)
        tiny.record("figures_headline", "python -m distillery figures", [TABLE], [figure])
        content = manifest.build(
            tiny.root,
            "tiny",
            "headline",
            ends=(figure, "results/tiny/report.html"),
            config=Path("config/tiny.yaml"),
            resolved=(),
        )
        tiny.write("results/tiny/manifest.json", content)

    draw(pair[0], "<svg>1</svg>")
    draw(pair[1], "<svg>2</svg>")
    assert verdicts(compared(pair))[figure] == DRAWN and compared(pair).holds
    pair[1].path(TABLE).write_text(pair[1].path(TABLE).read_text() + " ")
    draw(pair[1], "<svg>2</svg>")
    assert verdicts(compared(pair))[figure] == DIFFERS


def test_a_file_changed_after_its_run_is_refused(pair: tuple[Tiny, Tiny]) -> None:
    name = f"{predictions(0)}.json"
    pair[1].write(name, pair[1].read(name) | {"speed": {}})
    pair[1].build()
    pair[1].write(name, {})
    with pytest.raises(UserError, match="not the file of the run any more"):
        compared(pair)


def test_runs_of_two_profiles_are_refused(pair: tuple[Tiny, Tiny]) -> None:
    content = pair[1].read("results/tiny/manifest.json")
    pair[1].write("results/tiny/manifest.json", content | {"target": "ablations"})
    with pytest.raises(UserError, match="share nothing"):
        compared(pair)


def test_command_writes_the_certificate_and_says_whether_it_holds(
    pair: tuple[Tiny, Tiny], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["compare", str(pair[0].root), str(pair[1].root), "--profile", "tiny", "--out-dir", str(out)]
    assert main([*words, "--notes", "1 core", "2 cores"]) == 0
    assert json.loads((out / "determinism.json").read_text())["holds"] is True
    assert "2 cores" in (out / "determinism.md").read_text()
    pair[1].path(TABLE).write_text("")
    pair[1].build()
    assert main(words) == 1
    assert f"{TABLE}: differs" in capsys.readouterr().out


def test_fields_of_json_are_left_out_by_path() -> None:
    strip = determinism.without_fields("a.*.seconds", "b")
    left = '{"a": {"x": {"seconds": 1, "n": 2}, "seconds": 5}, "b": 7, "c": {"b": 8}}'
    assert json.loads(strip(left)) == {"a": {"x": {"n": 2}, "seconds": 5}, "c": {"b": 8}}


def test_columns_of_csv_are_left_out() -> None:
    strip = determinism.without_columns("fps")
    assert strip("name,fps,n\nx,1,2\n") == strip("name,fps,n\nx,9,2\n")
    assert strip("name,fps,n\nx,1,2\n") != strip("name,fps,n\nx,1,3\n")


@pytest.mark.parametrize(
    "table",
    [
        "| Network | ms | Size |\n|---|---:|---:|\n| SiamFC | {ms} | {size} |\n",
        "\\begin{{tabular}}\nNetwork & ms & Size \\\\\n\\midrule\nSiamFC & {ms} & {size} \\\\\n",
        "\\begin{{tabular}}\nNetwork & Size & ms \\\\\n\\midrule\nSiamFC & {size} & {ms} \\\\\n",
    ],
)
def test_columns_of_printed_tables_are_left_out(table: str) -> None:
    strip = determinism.without_cells("ms")
    one = strip(table.format(ms="17.96", size=3))
    assert strip(table.format(ms="8.1", size=3)) == one
    assert strip(table.format(ms="17.96", size=4)) != one
    assert strip(table.format(ms="17.96", size=3) + "\nA caption.\n") != one
    # What is under the head of another table counts.
    end = "\n\n" if "|" in table else "\\end{tabular}\n"
    other = table.replace("ms &", "FPX &").replace("& ms", "& FPX").replace("| ms", "| FPX")
    both = [strip(table.format(ms=1, size=3) + end + other.format(ms=ms, size=3)) for ms in (1, 2)]
    assert both[0] != both[1]


def test_numbers_and_images_of_a_page_are_left_out() -> None:
    one = determinism.without_numbers('<td>1,234.5 ms</td><img src="data:image/png;base64,AAAA+/=="> shown')
    assert determinism.without_numbers('<td>9 ms</td><img src="data:image/png;base64,BB"> shown') == one
    assert determinism.without_numbers('<td>9 ms</td><img src="data:image/png;base64,BB"> not shown') != one
