"""A cell is found by what it is called, and followed back to the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.conftest import TABLE, Tiny, metrics, predictions, tracker
from distillery.audit import manifest as manifests
from distillery.audit.trace import Trace, trace
from distillery.errors import UserError


def follow(tiny: Tiny, text: str) -> Trace:
    return trace(tiny.root, manifests.load(tiny.root, Path("results/tiny/manifest.json")), text)


@pytest.mark.parametrize(
    "text", ["Table 1, DSTfc dim, OTB-100 AUC", "siamfc dim-tskd otb100.auc", "tracking, SiamFC dim, TSKD, OTB-100 AUC"]
)
def test_a_cell_has_many_names(tiny: Tiny, text: str) -> None:
    # DSTfc is what the paper calls the student with sharing; here there is none of it.
    if "DSTfc" in text:
        with pytest.raises(UserError, match="no cell knows the word 'dstfc'"):
            follow(tiny, text)
        return
    found = follow(tiny, text)
    assert found.cell.column == "otb100.auc" and found.cell.table == TABLE


def test_the_whole_ancestry_is_there(tiny: Tiny) -> None:
    found = follow(tiny, "tracking, SiamFC dim, AUC")
    paths = {link.path for link in found.files}
    expected = {TABLE, "data/tiny/otb100.json"}
    for seed in (0, 1):
        expected |= {metrics(seed), f"{predictions(seed)}.json", f"{tracker(seed)}.safetensors"}
    assert paths == expected
    assert found.seeds == [0, 1] and found.config[0] == "config/tiny.yaml" and len(found.commit or "") == 40
    # Seven jobs of 7.5 s, the store not among them.
    assert found.seconds == pytest.approx(7 * 7.5, abs=0.1)
    lines = list(found.lines())
    assert lines[0].endswith(f"= {found.cell.value}") and "seeds 0, 1" in lines[1]
    assert sum("(see above)" in line for line in lines) > 0


def test_an_unclear_question_names_the_candidates(tiny: Tiny) -> None:
    table = tiny.path(TABLE)
    head, row = table.read_text().splitlines()
    table.write_text(f"{head}\n{row}\n{row.replace('dim-tskd', 'dim-soft').replace('TSKD', 'soft')}\n")
    with pytest.raises(UserError, match=r"means 2 cells: table 1 .*TSKD.*; table 1 .*soft"):
        follow(tiny, "SiamFC dim AUC")


def test_a_file_of_one_seed_belongs_to_that_seed_alone(tiny: Tiny) -> None:
    """One job scores all; each metrics file rests on its own predictions."""
    links = follow(tiny, "SiamFC dim, AUC").files
    at = next(place for place, link in enumerate(links) if link.path == metrics(1))
    below = []
    for link in links[at + 1 :]:
        if link.depth <= links[at].depth:
            break
        below.append(link.path)
    assert f"{predictions(1)}.json" in below and f"{predictions(0)}.json" not in below
