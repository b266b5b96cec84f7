"""What one network costs on one device: seconds a pass, parameters, multiply-adds."""

from __future__ import annotations

import gc
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from modelkin import batching
from modelkin.data import datasets
from modelkin.errors import ModelkinError
from modelkin.networks import building, classifier, sources, tracing
from modelkin.store import digests, manifests
from modelkin.study.config import Study

TIMED_SECONDS = 0.3  # each network is timed at least so long


@dataclass(frozen=True)
class Cost:
    """What one network costs on one device.

    forward, gradient, update: seconds an image for its logits, for the gradient of a loss with respect to it,
    and for a step of training. parameters; width of the representation; size and channels of its images;
    multiply_adds of one forward pass of one image; outputs, the numbers that its modules put out for one.
    """

    forward: float
    gradient: float
    update: float
    parameters: int
    width: int
    size: int
    channels: int
    multiply_adds: int = 0
    outputs: int = 0

    @property
    def pixels(self) -> int:
        return self.channels * self.size**2

    def at(self, teraflops: float) -> Cost:
        """The same network on a device that sustains so many 1e12 operations a second.

        A multiply-add is two operations; a gradient with respect to the image costs two forward passes, a
        step of training three.
        """
        forward = 2 * self.multiply_adds / (teraflops * 1e12)
        return replace(self, forward=forward, gradient=2 * forward, update=3 * forward)


def network_costs(
    study: Study,
    device: torch.device | str = "cpu",
    *,
    teraflops: float | None = None,
    kept: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Cost]:
    """What every model costs; networks that are built alike are timed once.

    teraflops: reckon with this sustained rate instead of timing (see :meth:`Cost.at`). kept: a JSON file of
    what was found before on the same device of the same machine with the same software; it is read, and
    written after each network. progress(networks done, networks in all) is called after each that is new.
    Raises ModelkinError if the file is damaged.
    """
    classes = {label: study.counts[label]["classes"] for label in study.datasets}
    shapes = {label: datasets.shape(**study.settings(label)) for label in study.datasets}
    labels = {name: study.dataset_of(name) for name in study.with_weights}
    makers = {name: _maker(study, name, classes[label], shapes[label]) for name, label in labels.items()}
    found = _read(kept)
    where = _where(device, timed=teraflops is None)
    new = {f"{where}; {key}": make for make, key in makers.values() if f"{where}; {key}" not in found}
    for done, (key, make) in enumerate(new.items(), start=1):
        found[key] = _examined(*make(), device, timed=teraflops is None)
        _write(kept, found)
        if progress is not None:
            progress(done, len(new))
    costs = {name: found[f"{where}; {key}"] for name, (_, key) in makers.items()}
    return costs if teraflops is None else {name: cost.at(teraflops) for name, cost in costs.items()}


def _where(device: torch.device | str, timed: bool) -> str:
    """What decides the times of a network besides the network."""
    software = manifests.software_versions()
    versions = f"torch {software['torch']}, modelkin {software['modelkin']}"
    if not timed:
        return f"counted; {versions}"
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)} of {platform.node()}; {versions}"
    return f"{torch.get_num_threads()} threads of {platform.node()} ({platform.machine()}); {versions}"


def _read(kept: str | Path | None) -> dict[str, Cost]:
    if kept is None or not Path(kept).exists():
        return {}
    try:
        read = json.loads(Path(kept).read_text())
        found = {key: Cost(**values) for key, values in read.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelkinError(f"{kept} is damaged ({error}); delete it.") from None
    # Those of an earlier version say nothing of outputs, and are examined again.
    return {key: cost for key, cost in found.items() if "outputs" in read[key]}


def _write(kept: str | Path | None, found: Mapping[str, Cost]) -> None:
    if kept is None:
        return
    path = Path(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    temporary.write_text(json.dumps({key: asdict(cost) for key, cost in found.items()}, indent=1) + "\n")
    os.replace(temporary, path)


def _maker(study: Study, name: str, classes: int, shape) -> tuple[Callable, str]:
    """What builds a model's network, size, channels and head; and a key, the same for the same network."""
    entry = study.models[name]
    channels = shape[0]
    images = f"{classes} classes, {shape[0]} x {shape[1]} x {shape[2]}"
    if entry["source"] == "train":
        training = study.training(name)
        keys = {key: training[key] for key in ("architecture", "width", "representation")}

        def trained():
            model = building.new_model(channels=channels, size=shape[-1], classes=classes, **keys)
            return model.network, shape[-1], channels, model.head

        return trained, f"train {keys}, {images}"
    settings = {key: entry[key] for key in ("architecture", "options") if key in entry}
    channels = len(entry.get("mean", [0] * channels))

    def taken():
        network, size = sources.blank(entry["source"], classes, **settings)
        return network, entry.get("size") or size or shape[-1], channels, entry.get("head")

    own = Path(entry["architecture"].partition(".py:")[0] + ".py")
    code = f", {digests.digest_of(own)}" if own.is_file() else ""
    about = {key: entry[key] for key in ("size", "head", "mean") if key in entry}
    return taken, f"{entry['source']} {settings}{code} {about}, {images}"


def _examined(network, size: int, channels: int, head: str | None, device, timed: bool) -> Cost:
    """What there is to know of a network; its times only if they are wanted, else 0."""
    try:
        x = torch.rand(batching.batch_rows(size, device) if timed else 2, channels, size, size, device=device)
        network = network.to(device).eval().requires_grad_(False)
        _check_takes(network, x[:2])
        head = head or tracing.find_head(network, x[:2])
        model = classifier.Classifier(network, head, [0.0] * channels, [1.0] * channels, size).to(device)
        with torch.no_grad():
            width = model.representation(x[:1]).shape[1]
        parameters = sum(value.numel() for value in network.parameters())
        multiply_adds = tracing.multiply_adds(network, x[:1])
        times = _times(model, x) if timed else (0.0, 0.0, 0.0)
        outputs = tracing.outputs(network, x[:1])
        return Cost(*times, parameters, width, size, channels, multiply_adds, outputs)
    finally:
        # Networks refer to themselves, and dozens of them do not fit into memory.
        del network
        gc.collect()
        if torch.device(device).type == "cuda":
            torch.cuda.empty_cache()


@torch.no_grad()
def _check_takes(network, x: torch.Tensor) -> None:
    """ModelkinError unless a network takes images like these."""
    try:
        network(x)
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelkinError(
            f"a {type(network).__name__} of the study does not take images of shape {tuple(x.shape[1:])} "
            f"({reason}); its `size` or the dataset's `channels` may be wrong."
        ) from None


def _times(model: classifier.Classifier, x: torch.Tensor) -> tuple[float, float, float]:
    """Seconds an image of a forward pass, of a gradient and of a step of training."""

    def forward():
        with torch.no_grad():
            model(x)

    def gradient():
        y = x.detach().requires_grad_(True)
        torch.autograd.grad(model(y).sum(), y)

    def update():
        torch.autograd.grad(model(x).sum(), list(model.network.parameters()), allow_unused=True)

    times = []
    for step in (forward, gradient, update):
        model.network.requires_grad_(step is update)
        times.append(_seconds(step, x.device) / len(x))
    return tuple(times)


def _seconds(step: Callable[[], object], device) -> float:
    """Seconds of one step, after one that is not counted; of that one if it takes long enough to be exact."""
    once = elapsed_seconds(step, device)
    if once > 3 * TIMED_SECONDS:
        return once
    count, taken = 0, 0.0
    while taken < TIMED_SECONDS:
        taken += elapsed_seconds(step, device)
        count += 1
    return taken / count


def elapsed_seconds(step: Callable[[], object], device) -> float:
    """Seconds of a device, or of one core: what this process uses, so that others do not count."""
    on_gpu = torch.device(device).type == "cuda"
    now = time.perf_counter if on_gpu else time.process_time
    start = now()
    step()
    if on_gpu:
        torch.cuda.synchronize(device)
    return now() - start
