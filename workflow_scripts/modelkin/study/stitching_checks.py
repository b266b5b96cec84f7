"""What no schema can say of the section ``stitching``. Every error is one sentence.

It is given a study that is being made (:class:`modelkin.study.config.Study`) and asks it as everybody does.
"""

from __future__ import annotations

from typing import Any

from modelkin.errors import ModelkinError, unknown_name
from modelkin.stitching import settings


def check_stitching(study) -> None:
    """ModelkinError unless what is stitched is there, once, and has images to be trained on."""
    section = study.stitching
    if section is None:
        return
    if not {"pairs", "agreement"} & {*section}:
        raise ModelkinError(
            "stitching: nothing is asked for; name `pairs`, or say `agreement: {}` for heads alone."
        )
    if study.agreement is not None:
        _agreement(study)
    if "pairs" in section:
        _tasks(study, section)
        _pairs(study, section)
        _trainings(study, section)
        _views(study, section)
    else:
        for key in ("tasks", "inversions", "t_sne", "plateau"):
            if key in section:
                verb = "are" if key.endswith("s") else "is"
                raise ModelkinError(f"stitching: {key} {verb} for pairs; name `pairs`, or leave `{key}` out.")


def not_compared(study, name: str) -> str:
    """Why a model is in no comparison of representations."""
    return "has no weights" if name not in study.with_weights else "is a model of another task"


def _agreement(study) -> None:
    _training_images(study, study.dataset)
    if not any(map(study.stitched_heads, study.active_compared)):
        raise ModelkinError(
            "stitching.agreement: no two models are of one robustness level; say `pairs: all`, or leave it "
            "out."
        )


def _tasks(study, section: dict[str, Any]) -> None:
    for task in section.get("tasks", []):
        if task not in study.datasets:
            raise unknown_name("dataset in stitching.tasks", task, study.datasets)
        if section["tasks"].count(task) > 1:
            raise ModelkinError(f"stitching: the task {task} is there twice; leave one out.")


def _pairs(study, section: dict[str, Any]) -> None:
    """The models of every pair are there, once, and as many classes as the task has."""
    tasks = section.get("tasks", [])
    able = study.with_weights if tasks else study.compared
    for (front, end), label in zip(*_labelled(study, section), strict=True):
        for role, name in (("front", front), ("end", end)):
            if name not in study.names:
                raise unknown_name(f"{role} in stitching", name, study.names)
            if name not in able:
                more = "" if name not in study.with_weights else ", or name `tasks`"
                raise ModelkinError(f"stitching: '{name}' {not_compared(study, name)}; leave it out{more}.")
            for task in tasks:
                _fits(study, name, task)
        if label:
            raise ModelkinError(f"stitching: the pair {front}, {end} is there twice; leave one out.")


def _labelled(study, section: dict[str, Any]) -> tuple[list[tuple[str, str]], list[bool]]:
    """All pairs that are named, and whether each is there more than once."""
    names = study.active_compared + (study.active_of_other_tasks if "tasks" in section else [])
    found = settings.pairs(section["pairs"], names)
    labels = [settings.pair_label(*pair) for pair in found]
    return found, [labels.count(label) > 1 for label in labels]


def _fits(study, name: str, task: str) -> None:
    """ModelkinError unless a model can be asked for the classes of a task, and takes its images."""
    of = study.dataset_of(name)
    own, other = (study.counts[label]["classes"] for label in (of, task))
    if own != other:
        raise ModelkinError(
            f"stitching: '{name}' knows the {own} classes of {of}, and {task} has {other}; across tasks "
            "numbers of classes must be equal."
        )
    own, other = (study.channels(label) for label in (of, task))
    if own != other:
        raise ModelkinError(
            f"stitching: '{name}' takes images of {own} channels, and those of {task} have {other}; give one "
            "of the datasets other `channels`."
        )


def _trainings(study, section: dict[str, Any]) -> None:
    """What is asked of each pair is there once, and has a batch of images."""
    asked = [settings.objective(each).label for each in settings.as_list(section["objective"])]
    for what, values in (
        ("objective", asked),
        *(
            (key, settings.as_list(section[key]))
            for key in ("start", "mode", "epochs", "learning_rate")
            if key in section
        ),
    ):
        for value in values:
            if values.count(value) > 1:
                raise ModelkinError(f"stitching: the {what} {value} is there twice; leave one out.")
    for task in section.get("tasks", [study.dataset]):
        images = min(_training_images(study, task), section["train_images"] or float("inf"))
        batch = section.get("batch_size", settings.SHARED["batch_size"])
        if images < batch and asked != ["matching"]:
            raise ModelkinError(
                f"stitching: {images} training images do not fill a batch of {batch}; lower batch_size."
            )


def _views(study, section: dict[str, Any]) -> None:
    """There are as many images as are to be shown."""
    for task in section.get("tasks", [study.dataset]):
        images = min(study.counts[task]["test"], section["test_images"] or float("inf"))
        for key in settings.views(section):
            if section[key] > images:
                raise ModelkinError(
                    f"stitching: {key} asks for {section[key]} images, and there are {images} test images; "
                    f"lower `{key}`."
                )


def _training_images(study, label: str) -> int:
    """How many there are of a dataset; ModelkinError if none."""
    images = study.counts[label]["train"]
    if not images:
        which, where = ("the dataset", "dataset") if label == study.dataset else (label, "other_datasets")
        raise ModelkinError(
            f"stitching: {which} has no train split, of which stitches are made; name one ({where}: "
            "{train: ...})."
        )
    return images
