"""Crops and recordings only save work; what they are made of must still reach those who read them."""

from __future__ import annotations

from project import Project, of_person_search


def test_editing_what_crops_and_trainings_share_reruns_both(project: Project) -> None:
    """Were the crops `ancient`, Snakemake would make them anew and not look at the trainings in this run."""
    project.append("src/distillery/tracking/crops.py")
    jobs = project.jobs()
    assert jobs["crop_clips"] == 2
    assert jobs["train_siamfc_teacher"] == jobs["train_siamrpn_tskd"] == 3
    assert not of_person_search(jobs)


def test_a_changed_training_set_reruns_crops_and_trainings(project: Project) -> None:
    (project.root / "data/mini/got10k.json").write_text("{}")
    jobs = project.jobs()
    assert jobs["crop_clips"] == 2
    assert jobs["train_siamfc_teacher"] == jobs["train_siamrpn_tskd"] == 3
    assert "dataset" not in jobs
    assert not of_person_search(jobs)
