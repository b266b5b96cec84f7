"""Reading weights that somebody else has written. They are not trusted, and nothing in them is run.

It knows nothing of architectures.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file

from modelkin.errors import ModelkinError
from modelkin.networks import checkpoint_claims
from modelkin.store import disk
from modelkin.store.digests import digest_of

# Where training scripts put the weights beside their optimiser and epoch.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
PREFIX = "module."
MOST_FOREIGN = 200  # names of objects that are passed over; the file is read once for each
DEEPEST = 20  # wrappers around the weights
FOREIGN = re.compile(r"GLOBAL ([\w.]+)")


def read_checkpoint(
    path: str | Path,
    *,
    sha256: str | None = None,
    trust_pickle: bool = False,
    passing_over: bool = False,
) -> dict[str, torch.Tensor]:
    """The weights of a file (.safetensors, or what torch.save writes), by parameter name, on the CPU.

    Wrappers ('state_dict', 'net', ...) are opened, a 'module.' before every name is removed, and half
    precision becomes float32. sha256: verified before the file is opened. trust_pickle: run the code
    that a pickle holds. passing_over: objects that stand in the file beside the weights are taken for
    nothing instead of refused; nothing of theirs is run or kept. Raises ModelkinError if the file
    cannot be used, or holds NaN.
    """
    path = disk.check_file(path, "the checkpoint")
    if sha256 is not None:
        found = digest_of(path)
        if found != sha256.lower():
            raise ModelkinError(f"the checkpoint {path} has sha256 {found}, not the one in the config.")
    weights = _unwrapped(_opened(path, trust_pickle, passing_over), path)
    if all(name.startswith(PREFIX) for name in weights):
        weights = {name.removeprefix(PREFIX): value for name, value in weights.items()}
    for name, value in weights.items():
        checkpoint_claims.check_made(name, value, path)
    halves = (torch.float16, torch.bfloat16)
    weights = {name: value.float() if value.dtype in halves else value for name, value in weights.items()}
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelkinError(f"the checkpoint {path} holds NaN or infinite values, first in '{name}'.")
    return weights


def fit_to_network(network: torch.nn.Module, weights: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Load weights into a network; ModelkinError with the first misfits unless every one has its place."""
    # Only a counter, which old checkpoints lack; evaluation does not look at it.
    own = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    weights = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    wrong = [f"missing '{name}'" for name in own if name not in weights]
    wrong += [f"unexpected '{name}'" for name in weights if name not in own]
    wrong += [
        f"'{name}' is {tuple(weights[name].shape)} and not {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ModelkinError(
            f"the checkpoint {path} does not fit the architecture: {', '.join(wrong[:3])}{more}."
        )
    network.load_state_dict(weights, strict=False)


class _PassedOver:
    """Stands where a checkpoint holds an object that is none of our business; it takes and does nothing."""

    def __init__(self, *args, **keywords):
        pass

    def __call__(self, *args, **keywords):
        return self

    def __setstate__(self, state):
        pass

    # torch calls only what is equal to something allowed; what a passed-over function returns is called too.
    def __eq__(self, other):
        return other is type(self)

    __hash__ = object.__hash__


def _opened(path: Path, trust_pickle: bool, passing_over: bool) -> object:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise ModelkinError(f"the checkpoint {path} is not a whole safetensors file ({error}).") from None
    with open(path, "rb") as stream:
        start = stream.read(64).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelkinError(
            f"the checkpoint {path} is a web page; the download failed, fetch the file itself."
        )
    if not trust_pickle:
        checkpoint_claims.check_claims(path)
    try:
        return _unpickled(path, trust_pickle, passing_over)
    except pickle.UnpicklingError as error:
        if "GLOBAL" not in str(error):
            raise ModelkinError(f"the checkpoint {path} is damaged or not a checkpoint.") from None
        foreign = FOREIGN.search(str(error))
        raise ModelkinError(
            f"the checkpoint {path} holds more than weights{f' ({foreign[1]})' if foreign else ''}, which "
            "would run its code; if you trust who made it, give the model `trust_pickle: true`."
        ) from None
    except Exception as error:
        # What a damaged or hostile pickle makes torch raise can be any error.
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelkinError(f"the checkpoint {path} is damaged or not a checkpoint ({reason}).") from None


def _unpickled(path: Path, trust_pickle: bool, passing_over: bool) -> object:
    """What torch reads. If objects are passed over, each foreign name that is met is made to mean nothing."""
    allowed: dict[str, type] = {}
    while True:
        with torch.serialization.safe_globals([(stand_in, name) for name, stand_in in allowed.items()]):
            try:
                return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
            except pickle.UnpicklingError as error:
                foreign = FOREIGN.search(str(error))
                # torch leaves out the module of builtins when it names them.
                name = foreign and (foreign[1] if "." in foreign[1] else f"builtins.{foreign[1]}")
                if not passing_over or name is None or name in allowed or len(allowed) == MOST_FOREIGN:
                    raise
        # A class of its own for each name: torch keeps them by class.
        allowed[name] = type(f"PassedOver{len(allowed)}", (_PassedOver,), {})


def _unwrapped(found: object, path: Path) -> dict[str, torch.Tensor]:
    """The mapping of names to tensors inside what a training script saved."""
    for _ in range(DEEPEST):  # what holds itself has no end
        if not isinstance(found, Mapping | list | tuple):
            break
        if isinstance(found, list | tuple):
            if not found:
                break
            found = found[0]
            continue
        inside = next(
            (found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping | list | tuple)), None
        )
        if inside is None:
            tensors = {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}
            if tensors and len(tensors) == len(found):
                return tensors
            break
        found = inside
    if isinstance(found, torch.nn.Module):
        return found.state_dict()
    raise ModelkinError(
        f"the checkpoint {path} holds no table of weights, neither bare nor under {', '.join(WRAPPERS)}."
    )
