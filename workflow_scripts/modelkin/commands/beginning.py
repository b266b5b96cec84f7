"""A config to begin a study with, written from a few answers: checkpoints, their architecture, images."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from modelkin.data.datasets import torchvision
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import sources
from modelkin.operations.before_running import configured_study
from modelkin.store import disk
from modelkin.study import schema

SUFFIXES = {".pt", ".pth", ".ckpt", ".safetensors", ".th", ".tar", ".bin"}
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._+-]+")
MEASURES = [
    "linear_cka",
    "debiased_cka",
    "procrustes",
    "knn_jaccard",
    "agreement",
    "jensen_shannon",
    "saliency_cosine",
]
TRAINED = [("residual", 0), ("residual", 1), ("vgg", 0), ("vgg", 1)]
QUESTIONS = {
    "checkpoints": "Checkpoints, a folder or files (none: small networks are trained here)",
    "architecture": "Their architecture (nets.py:callable, nets.py:TABLE[key], timm:name, torchvision:name)",
    "mean": "Means of their normalisation by channel, pixels being in [0, 1] (none: they have none)",
    "std": "Standard deviations of it",
    "dataset": "Images to compare on: an .npz file, a folder with one for each class, or cifar10, ...",
    "size": "Size in pixels that these images are scaled to",
}
TEMPLATE = """\
# yaml-language-server: $schema={schema}
# Begun by `modelkin init`. `modelkin plan` says what it costs, `modelkin run` runs it.
study: {study}

dataset: {dataset}

# In order of arrival: append new models at the end. eps: the radius of adversarial training, if any.
models:
{models}
{training}
# Images of the test split, and pairs of a seed and a target of which inverted images are made.
# probes: {{natural: 500, inverted: 300}}

inversion: {{mode: fast}}

# Images that fool each model, for attack transferability: take the # away, and add sat to the measures.
# adversarial: {{}}

measures: [{measures}]
"""


class Answers(NamedTuple):
    """What a config is made of.

    checkpoints: folders and files. architecture: of all of them, or ``pattern=architecture`` for those whose
    file name fits it, the first that does. models: ``source:architecture`` of those in a library.
    dataset: a file, a folder, or a name; of size pixels where images differ in size.
    """

    study: str
    checkpoints: Sequence[str] = ()
    architecture: Sequence[str] = ()
    models: Sequence[str] = ()
    dataset: str = ""
    size: int | None = None
    mean: Sequence[float] = ()
    std: Sequence[float] = ()


def ask(given: Answers, question: Callable[[str], str]) -> Answers:
    """The answers with what is missing asked for; question: from what to ask to what was answered."""

    def asked(what: str) -> str:
        return question(f"{QUESTIONS[what]}: ").strip()

    if not given.checkpoints and not given.models:
        given = given._replace(checkpoints=asked("checkpoints").split())
    if given.checkpoints and not given.architecture:
        given = given._replace(architecture=asked("architecture").split())
    if given.checkpoints and not given.mean:
        mean = _numbers(asked("mean"))
        given = given._replace(mean=mean, std=_numbers(asked("std")) if mean else ())
    if not given.dataset and (given.checkpoints or given.models):
        given = given._replace(dataset=asked("dataset"))
    if given.size is None and _needs_size(given.dataset):
        (size,) = _numbers(asked("size")) or (None,)
        given = given._replace(size=size if size is None else int(size))
    return given


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.replace(",", " ").split())
    except ValueError:
        raise ModelkinError(f"'{text}' must be numbers, as in 0.49 0.48 0.45.") from None


def _needs_size(dataset: str) -> bool:
    about = torchvision.ABOUT.get(dataset)
    return Path(dataset).is_dir() if about is None else about.size is None


def begin(path: str | Path, given: Answers) -> str:
    """Write a config; its text. ModelkinError, and nothing is written, if it is there or would be refused."""
    if Path(path).exists():
        raise ModelkinError(f"{path} is there already; name another file, as in modelkin init my.yaml.")
    text = config_text(given)
    configured_study(yaml.safe_load(text))
    with disk.writable_folder(Path(path).parent):
        Path(path).write_text(text, "utf-8")
    return text


def config_text(given: Answers) -> str:
    """The config as it is written."""
    entries = [*_of_checkpoints(given), *map(_of_library, given.models)]
    dataset = _dataset(given) if given.dataset else {"name": "digits", "size": 16, "test": 500}
    training = ""
    if not entries:
        entries = [
            {"name": f"{name}-{eps}", "source": "train", "architecture": name, "eps": eps}
            for name, eps in TRAINED
        ]
        training = "\ntraining: {epochs: 16, batch_size: 64, learning_rate: 6.0e-3, weight_decay: 1.0e-4}\n"
    return TEMPLATE.format(
        schema=schema.SCHEMA,
        study=given.study,
        dataset=_flow(dataset),
        models="\n".join(f"  - {_flow(entry)}" for entry in entries),
        training=training,
        measures=", ".join(MEASURES),
    )


def _flow(value: Mapping[str, Any]) -> str:
    """A mapping on one line of YAML."""
    return yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, width=10**6).strip()


def _of_checkpoints(given: Answers) -> list[dict[str, Any]]:
    files = _files(given.checkpoints)
    normalised = {key: list(value) for key, value in (("mean", given.mean), ("std", given.std)) if value}
    names = _names(files)
    return [
        {
            "name": name,
            "source": "file",
            "weights": file.as_posix(),
            "architecture": _architecture(file, given.architecture),
            **normalised,
        }
        for name, file in zip(names, files, strict=True)
    ]


def _files(places: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(each for each in place.iterdir() if each.suffix in SUFFIXES and each.is_file())
            if not inside:
                raise ModelkinError(
                    f"there is no checkpoint in {place}, no file that ends in {', '.join(sorted(SUFFIXES))}."
                )
            found += inside
        elif place.is_file():
            found.append(place)
        else:
            raise ModelkinError(f"the checkpoint {place} does not exist; name a file or a folder.")
    return found


def _names(files: Sequence[Path]) -> list[str]:
    """A name for each: the file's without its suffix, with the folder's before it where two are the same."""
    stems = [file.name.removesuffix("".join(file.suffixes[-1:])) for file in files]
    names = [
        f"{file.absolute().parent.name}-{stem}" if stems.count(stem) > 1 else stem
        for file, stem in zip(files, stems, strict=True)
    ]
    return [NOT_IN_NAMES.sub("-", name).strip("-.") for name in names]


def _architecture(file: Path, given: Sequence[str]) -> str:
    for each in given:
        pattern, divided, architecture = each.partition("=")
        if not divided:
            return each
        if fnmatch.fnmatch(file.name, pattern):
            return architecture
    if not given:
        raise ModelkinError(
            "the architecture of the checkpoints is not known; name it with --architecture, as in "
            "nets.py:callable, timm:resnet50 or torchvision:resnet50."
        )
    raise ModelkinError(
        f"no --architecture is for {file.name}; add one, as in --architecture '{file.stem}*=...'."
    )


def _of_library(place: str) -> dict[str, Any]:
    source, _, architecture = place.partition(":")
    known = [name for name in sources.names() if name != "file"]
    if source not in known or not architecture:
        raise unknown_name("model, which must be source:architecture with a source", place, known)
    name = NOT_IN_NAMES.sub("-", architecture.split(":")[-1].split("/")[-1])
    return {"name": name, "source": source, "architecture": architecture}


def _dataset(given: Answers) -> dict[str, Any]:
    place = given.dataset
    size = {} if given.size is None else {"size": given.size}
    if place in torchvision.ABOUT:
        return {"name": "torchvision", "dataset": place, "root": "data", "download": True, **size}
    if Path(place).is_dir():
        if not size:
            raise ModelkinError(
                "the images of a folder differ in size; say to what they are scaled with --size."
            )
        return {"name": "folder", "test": Path(place).as_posix(), **size}
    if Path(place).is_file() or place.endswith(".npz"):
        return {"name": "npz", "test": Path(place).as_posix(), **size}
    if place == "digits":
        return {"name": "digits", "size": 16, "test": 500, **size}
    raise unknown_name(
        "dataset, which must be an .npz file, a folder or a name:",
        place,
        [*torchvision.ABOUT, "digits"],
        "modelkin datasets",
    )
