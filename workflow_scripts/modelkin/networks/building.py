"""Models made: a new one of our architectures, one from elsewhere, one like a stored one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from modelkin.data.images import Images
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import architectures, sources, stored_builds, tracing
from modelkin.networks.classifier import RESIZING, Classifier, frozen


def new_model(
    architecture: str, *, channels: int, size: int, classes: int, width: int, representation: int
) -> Classifier:
    """Make an untrained classifier of one of our architectures, with weights from torch's global generator.

    Parameters
    ----------
    architecture : str
        One of :func:`modelkin.networks.architectures.names`.
    channels, size : int
        Of the images.
    classes : int
    width : int
        Of the network: channels of its first block, or what is like it.
    representation : int
        Features p of the representation.

    Returns
    -------
    Classifier
    """
    shape = {"channels": channels, "size": size, "width": width, "representation": representation}
    features = architectures.build(architecture, **shape)
    network = nn.Sequential(features, nn.Linear(representation, classes))
    model = Classifier(network, "1", [0.0] * channels, [1.0] * channels, size)
    model.build = {"source": "train", "architecture": architecture, "classes": classes, **shape}
    return model


def from_source(
    source: str,
    images: Images,
    *,
    head: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    resize: str = "bilinear",
    **entry: Any,
) -> Classifier:
    """Take in a model that was trained elsewhere: its head is found, and its behaviour is checked.

    Parameters
    ----------
    source : str
        One of :func:`modelkin.networks.sources.names`: "timm", "torchvision", "robustness", "robustbench" or
        "file".
    images : Images
        Of the dataset that the model is to be used on.
    head : str, optional
        Name of the layer whose input is the representation; found by tracing if it is not given.
    mean, std : sequence of float, optional
        Normalisation of each channel, pixels being in [0, 1]; by default what the source knows, else none.
        They say how many channels the model takes: see :meth:`Classifier.prepared`.
    size : int, optional
        Pixels a side of the images that it takes; by default what the source knows, else the dataset's.
    resize : {"nearest", "bilinear", "bicubic", "own"}
        How images of other sizes are scaled; "own" is what the source names.
    **entry
        What the source takes, as in an entry of the config: architecture, weights, options, ...

    Returns
    -------
    Classifier
        Frozen, on the CPU.

    Raises
    ------
    ModelkinError
        If the checkpoint does not fit or is refused, or the model does not turn such images into logits, each
        image's
        independent of the others.
    """
    found = sources.get(source).take(len(images.classes), **entry)
    shown, own = images.shape[0], found.interpolation
    channels = len(next((given for given in (mean, std) if given is not None), [0.0] * shown))
    if channels != shown and {channels, shown} != {1, 3}:
        raise ModelkinError(
            f"mean or std has {channels} numbers, but the dataset's images have {shown} channels; give it "
            f"{shown}, or {4 - shown} for a model of {'colour' if shown == 1 else 'grey'} images."
        )
    mean, std = mean or found.mean or [0.0] * channels, std or found.std or [1.0] * channels
    if not len(mean) == len(std) == channels:
        raise ModelkinError(
            f"the model takes {len(mean)} channels (mean has {len(mean)} numbers, std {len(std)}), but the "
            f"dataset's images have {shown}; give the dataset `channels: {len(mean)}`, or the model `mean` "
            "and `std` of as many numbers as it takes, and images are converted for it."
        )
    size = size or found.size or images.shape[-1]
    resize = (own if own in RESIZING else "bilinear") if resize == "own" else resize
    model = frozen(Classifier(found.network, head or "", mean, std, size, resize))
    example = torch.from_numpy(images.floats(slice(0, 4)))
    logits = _tried(model, example)
    if head is None:
        model.head = tracing.find_head(model.network, model.prepared(example))
    elif head not in dict(model.network.named_modules()):
        raise unknown_name(
            "module as head", head, [name for name, _ in model.network.named_modules() if name]
        )
    model.build = {
        "source": source,
        "network": dict(found.build),
        "head": model.head,
        "mean": list(mean),
        "std": list(std),
        "size": size,
        "resize": resize,
        "classes": logits.shape[1],
    }
    model.origin = {"origin": found.origin, "interpolation": own, "crop": found.crop}
    model.hub = found.hub
    return model


@torch.no_grad()
def _tried(model: Classifier, example: torch.Tensor) -> torch.Tensor:
    """The logits of an example; ModelkinError if the model does not take or does not give what it should."""
    try:
        logits = model(example)
        again, alone = model(example), [model(one[None]) for one in example]
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        shape = (model.mean.shape[1], model.size, model.size)
        raise ModelkinError(
            f"the model does not take images of shape {shape} ({reason}); its `size` or the dataset's "
            "`channels` may be wrong."
        ) from None
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelkinError(f"the model returns {what}; it must return logits (images, classes).")
    close = {"rtol": 1e-3, "atol": 1e-3 * float(logits.abs().max().clamp_min(1e-6))}
    if not torch.allclose(logits, again, equal_nan=True, **close):
        raise ModelkinError(
            "the model gives other logits when asked again; it keeps dropout or other noise on in eval mode."
        )
    if not torch.allclose(logits, torch.cat(alone), equal_nan=True, **close):
        raise ModelkinError(
            "the model's logits of an image depend on the other images of its batch; it keeps a norm's batch "
            "statistics on in eval mode."
        )
    return logits


def rebuilt_model(
    build: Any, entry: Mapping[str, Any] | None = None, sha256: str | None = None
) -> Classifier:
    """Make a classifier of the same build as a stored one, its weights yet to be loaded.

    Parameters
    ----------
    build : mapping
        ``facts["build"]`` of the model's manifest, which may be a stranger's.
    entry : mapping, optional
        The model's entry in the config, which consents to running the code that it names (see
        :func:`modelkin.networks.stored_builds.stored_network`).
    sha256 : str, optional
        Of the architecture's own file when the model was taken in.

    Returns
    -------
    Classifier

    Raises
    ------
    ModelkinError
        Unless the build is sound, and if building it would run code that the entry does not name.
    """
    if isinstance(build, Mapping) and build.get("source") == "train":
        return new_model(**stored_builds.check_trained(build))
    build = stored_builds.check_taken(build)
    network = stored_builds.stored_network(build["source"], build["network"], entry, sha256)
    if build["head"] not in dict(network.named_modules()):
        raise ModelkinError(f"the network of source '{build['source']}' has no layer '{build['head']:.60}'.")
    taken = {key: build[key] for key in ("head", "mean", "std", "size", "resize")}
    model = Classifier(network, **taken)
    model.build = dict(build)
    return model


def normalise_like(model: Classifier, images: Images) -> None:
    """Set a model's normalisation to the channel means and standard deviations of some images.

    Parameters
    ----------
    model : Classifier
        Changed in place.
    images : Images
    """
    wide = images.floats().astype(np.float64)
    model.mean.copy_(torch.from_numpy(wide.mean((0, 2, 3))).view_as(model.mean))
    model.std.copy_(torch.from_numpy(wide.std((0, 2, 3))).clamp_min(1e-3).view_as(model.std))


@torch.no_grad()
def check_fits(model: nn.Module, images: Images, name: str) -> None:
    """Make sure that a model gives one finite logit for each class of some images.

    Parameters
    ----------
    model : Module
    images : Images
    name : str
        Of the model, for the error.

    Raises
    ------
    ModelkinError
        If it does not.
    """
    device = next(model.parameters()).device
    logits = model(torch.from_numpy(images.floats(slice(0, 2))).to(device))
    if logits.ndim != 2 or logits.shape[1] != len(images.classes):
        raise ModelkinError(
            f"model '{name}' gives outputs of shape {tuple(logits.shape[1:])}, "
            f"but the dataset has {len(images.classes)} classes."
        )
    if not torch.isfinite(logits).all():
        raise ModelkinError(f"model '{name}' returns NaN or infinite logits.")
