"""``python -m benchmarks.gpu``: agreement with the CPU and speed on one GPU, as a table; some minutes.

Needs torch, torchvision, timm and xarray, and no network: ResNet-50 has random weights, which cost as much as
trained ones. With ``--small`` it tries itself, on a CPU too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelkin import batching, precision
from modelkin.comparison import measures
from modelkin.comparison.activations import compute_activations
from modelkin.data.images import Images
from modelkin.networks import classifier, tracing
from modelkin.optimise import inversion
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import torch
import torchvision

MEASURES = ("linear_cka", "debiased_cka", "procrustes", "knn_jaccard")


@dataclass(frozen=True)
class Sizes:
    """pixels, matrix side; images inverted and attacked; steps; samples, features and models compared."""

    pixels: int = 224
    images: int = 256
    steps: int = 50
    samples: int = 10_000
    features: int = 2048
    models: int = 70
    side: int = 8192


SMALL = Sizes(pixels=32, images=4, steps=3, samples=200, features=16, models=3, side=256)
Line = tuple[str, str, str]  # what, found, what it is compared with


def network(device: torch.device, sizes: Sizes) -> classifier.Classifier:
    torch.manual_seed(0)
    net = torchvision.models.resnet50(num_classes=10 if sizes is SMALL else 1000)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    model = classifier.frozen(classifier.Classifier(net, "fc", mean, std, sizes.pixels))
    return classifier.on_device(model, device).folded()


def pictures(number: int, sizes: Sizes, seed: int) -> torch.Tensor:
    """Smooth random images (n, 3, h, w): noise would saturate nothing that photographs do not."""
    coarse = torch.rand(number, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return classifier.resized(coarse, sizes.pixels)


def seconds(call: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Median seconds of a call, after one that is not counted."""
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return sorted(taken[1:])[repeats // 2]


def peak(device: torch.device, sizes: Sizes) -> float:
    """Operations a second of a large matrix product in the precision in use."""
    kind = torch.bfloat16 if precision.autocast(device)._enabled else torch.float32
    a, b = torch.rand(2, sizes.side, sizes.side, device=device, dtype=kind)
    return 2 * sizes.side**3 / seconds(lambda: a @ b, device)


def agreement(device: torch.device, sizes: Sizes) -> Iterator[Line]:
    """Largest differences from the CPU, in float32."""
    x, targets = pictures(4, sizes, 0), pictures(4, sizes, 1)
    descent = inversion.published(3)
    found = []
    for where in (torch.device("cpu"), device):
        model = network(where, sizes)
        with torch.no_grad():
            representation = model.representation(x.to(where)).cpu()
        images = inversion.invert(model, x.to(where), targets.to(where), descent).images.cpu()
        found.append((representation, images))
    (a, first), (b, second) = found
    yield "representation", f"{float((a - b).abs().max() / a.abs().max()):.1e}", "of the CPU's largest value"
    yield "pixels after 3 steps of inversion", f"{float((first - second).abs().max()):.1e}", "CPU"
    rng = np.random.default_rng(0)
    pair = torch.from_numpy(rng.normal(size=(2, 500, 64)).astype(np.float32))
    for name in MEASURES:
        values = [measures.compare(name, *pair.to(where)).value for where in ("cpu", device)]
        yield name, f"{abs(float(values[0]) - float(values[1])):.1e}", "CPU"


def inversions(device: torch.device, sizes: Sizes) -> Iterator[Line]:
    """Images x steps a second and what share of the card's product peak that is, in each precision."""
    seeds, targets = (pictures(sizes.images, sizes, seed).to(device) for seed in (0, 1))
    speeds = {}
    for chosen in precision.PRECISIONS:
        precision.use_precision(chosen)
        model = network(device, sizes)
        multiply_adds = tracing.multiply_adds(model.network, model.prepared(model.blank(1)))
        top = peak(device, sizes)
        for mode, descent in (
            ("published", inversion.published(sizes.steps)),
            ("fast", inversion.fast(sizes.steps, finish_below=float("inf"))),
        ):
            kept = []

            def run(model=model, descent=descent, kept=kept):
                kept[:] = [inversion.invert(model, seeds, targets, descent)]

            speeds[chosen, mode] = sizes.images * (sizes.steps + 1) / seconds(run, device)
            # Forward, and backward to the image alone: two operations each for a multiply-add.
            share = 4 * multiply_adds * speeds[chosen, mode] / top
            precision.use_precision("float32")
            exact = network(device, sizes)
            with torch.no_grad():
                wanted, reached = (exact.representation(x) for x in (targets, kept[0].images))
            residual = ((reached - wanted).norm(dim=1) / wanted.norm(dim=1)).median()
            precision.use_precision(precision)
            yield (
                f"inversion, {mode} steps, {chosen}",
                f"{speeds[chosen, mode]:.0f} images x steps/s",
                f"{share:.0%} of {top / 1e12:.0f} TFLOP/s; median residual {float(residual):.4f} in float32",
            )
    precision.use_precision("float32")
    yield from against_the_library(device, sizes, seeds, targets, speeds)


def against_the_library(device, sizes: Sizes, seeds, targets, speeds) -> Iterator[Line]:
    """The robustness library's attacker in float32 on the same card, if it is installed."""
    try:
        from benchmarks.inversion import attacker, library
    except ImportError as error:
        yield "inversion, robustness library", "not run", str(error)
        return
    model = network(device, sizes)
    attack, wanted = attacker(model, fake_cuda=device.type != "cuda"), model.representation(targets)
    taken = seconds(lambda: library(attack, seeds, wanted, sizes.steps), device)
    theirs = sizes.images * sizes.steps / taken
    ratio = speeds["bf16", "published"] / theirs
    note = f"ours in bf16 is {ratio:.1f} x as fast (target 8)"
    yield "inversion, robustness library, float32", f"{theirs:.0f} images x steps/s", note


def other_passes(device: torch.device, sizes: Sizes) -> Iterator[Line]:
    """Attacks and activations in each precision."""
    x = pictures(sizes.images, sizes, 0)
    whole = Images(x.numpy(), np.zeros(len(x), np.int64), np.arange(len(x)).astype(str), ["a", "b"])
    labels = torch.zeros(len(x), dtype=torch.long, device=device)
    attack = pgd_descent("linf", 8 / 255, sizes.steps, 1 / 255)
    on_device = x.to(device)
    for chosen in precision.PRECISIONS:
        precision.use_precision(chosen)
        model = network(device, sizes)
        taken = seconds(lambda model=model: untargeted(model, on_device, labels, attack), device, repeats=1)
        rate = f"{len(x) * sizes.steps / taken:.0f} images x steps/s"
        yield f"PGD, {sizes.steps} steps, {chosen}", rate, ""

        def bare(model=model):
            with torch.no_grad():
                for part in on_device.split(batching.batch_rows(sizes.pixels, device)):
                    model.both(part)

        stored = seconds(lambda model=model: compute_activations(model, whole, device=device), device)
        note = f"{stored / seconds(bare, device):.2f} x the time of the passes alone"
        yield f"activations, {chosen}", f"{len(x) / stored:.0f} images/s", note
    precision.use_precision("float32")


def pairs(device: torch.device, sizes: Sizes) -> Iterator[Line]:
    """All pairs by each measure, reckoned from the parts of a few."""
    x = [torch.rand(sizes.samples, sizes.features, device=device) for _ in range(3)]
    count = sizes.models * (sizes.models + 1) // 2
    for name in MEASURES:
        measure = measures.get(name)
        parts = []

        def prepare(measure=measure, parts=parts):
            parts[:] = [measure.prepare(values, **measure.settings) for values in x]

        once = seconds(prepare, device, repeats=1) / len(x)
        pair = seconds(lambda measure=measure, parts=parts: measure.compare(*parts[:2]), device, repeats=1)
        total = sizes.models * once + count * pair
        shape = f"n = {sizes.samples}, p = {sizes.features}"
        yield f"{name}, all pairs of {sizes.models} models, {shape}", f"{total:.1f} s", f"{pair:.3f} s a pair"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="sizes that only try the program")
    arguments = parser.parse_args()
    device, sizes = torch.device(arguments.device), SMALL if arguments.small else Sizes()
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("this machine has no usable GPU; try --device cpu --small")
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{card}, torch {torch.__version__}\n\n| what | found | against |\n|---|---|---|", flush=True)
    for part in (agreement, inversions, other_passes, pairs):
        for line in part(device, sizes):
            print("| " + " | ".join(line) + " |", flush=True)
    if device.type == "cuda":
        print(f"\nLargest memory: {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
