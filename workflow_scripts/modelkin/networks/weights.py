"""Models on disk: weights, also those along a training, its history, and what rebuilds the network."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file

from modelkin.errors import ModelkinError
from modelkin.networks import architectures
from modelkin.networks.building import rebuilt_model
from modelkin.networks.card import model_card
from modelkin.networks.classifier import Classifier, frozen, on_device
from modelkin.store import manifests
from modelkin.store.digests import digest_of

WEIGHTS, HISTORY = "weights.safetensors", "history.json"


def write_model(manifest: str | Path, model: Classifier, history: list[dict], **about: Any) -> None:
    """Write a model's weights and training history as an artifact.

    Parameters
    ----------
    manifest : path
    model : Classifier
    history : list of dict
        One for each epoch; empty for a model that was not trained here.
    **about
        As in :func:`modelkin.store.manifests.write`.
    """

    def save(folder: Path) -> None:
        folder.mkdir()
        save_weights(model, folder / WEIGHTS)
        (folder / HISTORY).write_text(json.dumps(history, indent=1) + "\n")

    facts = {"build": model.build, **model_card(model), **about.pop("facts", {})}
    manifests.write(manifest, save, suffix="", facts=facts, **about)


def _own_file_digest(made: Mapping[str, Any], entry: Mapping[str, Any] | None) -> str | None:
    """The digest of an entry's own architecture file when the model was taken in, if the manifest has it."""
    own = architectures.CUSTOM.match((entry or {}).get("architecture", ""))
    return made.get("outside", {}).get(own["file"], {}).get("sha256") if own else None


def save_weights(model: Classifier, path: Path) -> None:
    """Write a model's parameters and buffers as safetensors."""
    weights = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    try:
        save_file(weights, path)
    except safetensors.SafetensorError as error:
        # The library tells the system's error in its text alone.
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def training_history(manifest: str | Path) -> list[dict]:
    """Read how a model was trained.

    Parameters
    ----------
    manifest : path
        Of the model.

    Returns
    -------
    list of dict
        Epoch, loss and accuracies, one for each epoch; empty for a model that was not trained here.
    """
    return json.loads((manifests.store_of(manifest, "") / HISTORY).read_text())


def load_model(
    manifest: str | Path,
    device: torch.device | str = "cpu",
    resize: str | None = None,
    *,
    entry: Mapping[str, Any] | None = None,
) -> Classifier:
    """The model of a manifest, frozen, in eval mode.

    Parameters
    ----------
    manifest
        ``results/<study>/models/<model>.json``.
    device
        Where the model is to be.
    resize
        How images of other sizes are scaled to its own, if not as the manifest says.
    entry
        The model's entry in the config (``source``, ``architecture``, ``options``), which consents to running
        the code that it names. Not needed for our architectures and for those of timm, torchvision and
        the robustness library, for nobody else's code builds them.

    Raises
    ------
    ModelkinError
        If the weights are damaged, do not fit or hold NaN; if the manifest's build is not sound; or if
        building the network would run code that the entry does not name.
    """
    path = manifests.store_of(manifest, "") / WEIGHTS
    model = _rebuilt_with(path, manifest, resize, entry)
    manifests.verified_store_of(manifest, "")  # numbers that changed are numbers still
    return on_device(frozen(model), device)


def untrained_weights(
    manifest: str | Path, seed: int, *, entry: Mapping[str, Any] | None = None
) -> dict[str, torch.Tensor]:
    """Make the weights that the network of a manifest has before any training, from a seed.

    Parameters
    ----------
    manifest : path
        Of the model.
    seed : int
    entry : mapping, optional
        As in :func:`load_model`.

    Returns
    -------
    dict of str to Tensor
        Of its ``network``, on the CPU.
    """
    made = manifests.read(manifest)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = rebuilt_model(made["facts"].get("build"), entry, _own_file_digest(made, entry))
    return model.network.state_dict()


def snapshot_name(epoch: int) -> str:
    """The name of the file that holds the weights after so many epochs."""
    return f"{epoch}.safetensors"


def load_snapshot(
    manifest: str | Path, epoch: int, device: torch.device | str = "cpu", resize: str | None = None
) -> Classifier:
    """The model of ``results/<study>/snapshots/<model>.json`` after so many epochs of its training, frozen.

    Parameters
    ----------
    manifest : path
    epoch : int
        0 is the untrained model.
    device : torch.device or str
    resize : str, optional
        As in :func:`load_model`.

    Raises
    ------
    ModelkinError
        If that epoch was not kept, or its weights are damaged or hold NaN.
    """
    facts = manifests.read(manifest)["facts"]
    if epoch not in facts["epochs"]:
        raise ModelkinError(
            f"epoch {epoch} of '{Path(manifest).stem}' was not kept; kept were "
            f"{', '.join(map(str, facts['epochs']))}: name one of them, or ask for it under "
            "`training: {snapshots: ...}` and run again."
        )
    path = manifests.store_of(manifest, "") / snapshot_name(epoch)
    model = _rebuilt_with(path, manifest, resize)
    if digest_of(path) != facts["files"][path.name]:
        raise ModelkinError(f"{path} is damaged: it is not what was stored; delete {manifest} and run again.")
    return on_device(frozen(model), device)


def _rebuilt_with(
    path: Path, manifest: str | Path, resize: str | None, entry: Mapping[str, Any] | None = None
) -> Classifier:
    """The classifier that a manifest tells how to build, with the weights of a file; entry: its consent."""
    made = manifests.read(manifest)
    model = rebuilt_model(made["facts"].get("build"), entry, _own_file_digest(made, entry))
    if resize not in (None, "own"):
        model.resize = resize
    try:
        weights = load_file(path)
        model.load_state_dict(weights)
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelkinError(
            f"the weights {path} cannot be used ({reason}); delete {manifest} and run again."
        ) from None
    broken = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelkinError(f"the weights {path} hold NaN or infinite values, first in '{broken[0]}'.")
    return model
