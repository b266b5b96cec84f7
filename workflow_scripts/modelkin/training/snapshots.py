"""Snapshots: a model's weights along its training, kept while it is trained.

A folder of snapshots holds the weights of each kept epoch and, written last, a list of them with their
digests and that of the weights with which the training ended. By that a model's own snapshots are known.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from modelkin.data.images import Images
from modelkin.networks.card import weights_digest
from modelkin.networks.classifier import Classifier
from modelkin.networks.weights import save_weights, snapshot_name
from modelkin.store import manifests
from modelkin.store.digests import digest_of
from modelkin.store.disk import remove_path, writable_folder, write_text
from modelkin.training.evaluation import losses_and_accuracies

LIST = "digests"  # no .json, which verifying would take for a manifest while it lies beside the model


class SnapshotRecorder:
    """Keeps a model's weights after the asked epochs of its training.

    Parameters
    ----------
    folder : path
        Whatever is there is of an earlier training and deleted; it is made if epochs are asked for.
    epochs : collection of int
        0 is the untrained model.
    """

    def __init__(self, folder: Path, epochs: Collection[int]):
        self._folder, self._epochs = folder, set(epochs)
        self._digests: dict[str, str] = {}
        with writable_folder(folder.parent):
            remove_path(folder)
            if self._epochs:
                folder.mkdir()

    def __call__(self, model: Classifier, epoch: int) -> None:
        """Keep the weights of this epoch if it was asked for."""
        if epoch in self._epochs:
            path = self._folder / snapshot_name(epoch)
            with writable_folder(self._folder):
                save_weights(model, path)
            self._digests[path.name] = digest_of(path)

    def finish(self, model: Classifier) -> None:
        """Say that the folder is whole, and with which weights the training ended."""
        if self._digests:
            with writable_folder(self._folder):
                _write_list(self._folder, self._digests, weights_digest(model.network))


def left_beside(model: str | Path) -> Path:
    """Where the training of a model leaves its snapshots until they are taken, beside its manifest."""
    return Path(model).with_name(f".{Path(model).stem}.snapshots.parts")


def holds(folder: Path, epochs: Iterable[int], weights: str) -> bool:
    """Whether a folder has the snapshots of these epochs, undamaged, of the training that ended with weights.

    weights: the digest of :func:`modelkin.networks.card.weights_digest`.
    """
    try:
        found = json.loads((folder / LIST).read_text())
        kept, ended = dict(found["files"]), found["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # no such folder, or one that is not whole: the model is trained again
    names = map(snapshot_name, epochs)
    return ended == weights and all(
        (folder / name).is_file() and digest_of(folder / name) == kept.get(name) for name in names
    )


def write_snapshots(
    manifest: str | Path, folder: Path, epochs: Iterable[int], model: str | Path, **about: Any
) -> None:
    """Write the snapshots of these epochs as an artifact, from a folder that :func:`holds` them.

    model: the manifest of the model that they lead to. about: as in ``manifests.write``.
    """
    ends_in = manifests.read(model)["facts"]
    digests = {name: digest_of(folder / name) for name in map(snapshot_name, epochs)}

    def save(to: Path) -> None:
        to.mkdir()
        for name in digests:
            shutil.copyfile(folder / name, to / name)
        _write_list(to, digests, ends_in["weights"])

    facts = {"build": ends_in["build"], "epochs": list(epochs), "files": digests}
    manifests.write(manifest, save, suffix="", facts=facts, **about)


def snapshot_row(
    model: Classifier, splits: Mapping[str, Images], attack: Mapping[str, Any], device: torch.device | str
) -> dict[str, float]:
    """A row of the table ``training_epochs`` but for its model and epoch.

    splits: images by the name of their split. attack: of
    :func:`modelkin.training.evaluation.losses_and_accuracies`.
    """
    row: dict[str, float] = {}
    for split, images in splits.items():
        found = losses_and_accuracies(model, images, device, **attack)
        row |= {f"{split}_{key}": value for key, value in found.items()}
    return row | {f"{split}_images": len(images) for split, images in splits.items()}


def _write_list(folder: Path, digests: dict[str, str], weights: str) -> None:
    text = json.dumps({"files": digests, "weights": weights}, indent=1, sort_keys=True)
    write_text(folder / LIST, text + "\n")
