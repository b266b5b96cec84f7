"""Where a study's artifacts stand: the only module that makes or reads their paths.

Paths are those of manifests, relative to the study's folder, with slashes. Kinds of probe and labels of other
datasets stand in them with dots (``inverted.svhn``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from modelkin import probe_kinds

RESULTS = "results"
CALIBRATION = f"{RESULTS}/calibration.json"  # what networks cost, shared by all studies


def study_folder(study: str) -> Path:
    """The folder of a study's results, below the working directory."""
    return Path(RESULTS, study)


def dataset(label: str = "") -> str:
    """Of the study's own dataset, or of another by its label."""
    return f"dataset.{label}.json" if label else "dataset.json"


def natural_probe(label: str = "") -> str:
    """The natural probe of the study's own dataset, or of another one's."""
    return f"probes/{probe_kinds.folder_of(probe_kinds.kind_of('natural', label))}.json"


def seed_target_pairs(label: str = "") -> str:
    """The pairs that all inverted probes of a dataset share."""
    return f"probes/pairs.{label}.json" if label else "probes/pairs.json"


def probe(kind: str, model: str) -> str:
    """The inverted or adversarial probe of a model."""
    return f"probes/{probe_kinds.folder_of(kind)}/{model}.json"


def model(name: str) -> str:
    """A model: weights and history."""
    return f"models/{name}.json"


def card(name: str) -> str:
    """A model's card."""
    return f"cards/{name}.json"


def activations(kind: str, model: str) -> str:
    """A model's activations on the natural probe, or its shell on the probes of one kind."""
    return f"activations/{probe_kinds.folder_of(kind)}/{model}.json"


def training_activations(model: str) -> str:
    """A model's representations of training images."""
    return f"training_activations/{model}.json"


def stitched_heads(model: str) -> str:
    """The shell of heads on other models' representations that a model completes."""
    return f"stitches/heads/{model}.json"


def boundaries(model: str) -> str:
    """Where a model decides."""
    return f"boundaries/{model}.json"


def similarity(model: str) -> str:
    """The shell of the similarity table that a model completes."""
    return f"similarity/{model}.json"


def similarity_part(model: str, label: str) -> str:
    """One measure's part of that shell."""
    return f"similarity/{model}/{label}.json"


def imported(label: str) -> str:
    """An imported table of similarities."""
    return f"imported/{label}.json"


def student(teacher: str) -> str:
    """The students of a teacher."""
    return f"students/{teacher}.json"


def table(name: str) -> str:
    """A table of the study."""
    return f"tables/{name}.json"


def figure(name: str) -> str:
    """A figure, or a figure's pictures for every measure."""
    return f"figures/{name}.json"


def is_similarity_part(manifest: str) -> bool:
    """Whether an artifact is one measure's part of a similarity shell, of which Snakemake does not know."""
    parts = PurePosixPath(manifest).parts
    return len(parts) == 3 and parts[0] == "similarity"


def is_boundaries(manifest: str) -> bool:
    """Whether an artifact is a model's boundaries; the path may be that below the working directory."""
    return PurePosixPath(manifest).parent.name == "boundaries"


def kind_of(manifest: str) -> str:
    """The kind of probe in whose folder an artifact is; the path may be that below the working directory."""
    return probe_kinds.kind_of_folder(PurePosixPath(manifest).parent.name)


def by_kind(manifests: Iterable[str]) -> dict[str, list[str]]:
    """Manifests of probes or activations by their kind, in order."""
    found: dict[str, list[str]] = {}
    for manifest in manifests:
        found.setdefault(kind_of(manifest), []).append(manifest)
    return found


def section(path: str) -> str:
    """The folder of a study in which a file stands, its name without suffix for those in none."""
    first = PurePosixPath(path).parts[0]
    return first.split(".")[0]
