"""Precision, and batches that fit: what can be checked without a GPU, with a memory that is made up."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from conftest import ROOT

from modelkin import jobs, precision
from modelkin.batching import MemoryFittingBatches
from modelkin.comparison import similarity
from modelkin.comparison.activations import saliency_chunks
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.pairs import Pair
from modelkin.data import datasets
from modelkin.errors import ModelkinError
from modelkin.networks import building, classifier
from modelkin.optimise import inversion


@pytest.fixture(autouse=True)
def float32_again():
    yield
    precision.use_precision("float32")


def holding(rows, function):
    """The function on a device whose memory holds so many rows, and the sizes it was called with."""
    sizes = []

    def limited(*batch):
        sizes.append(len(batch[0]))
        if sizes[-1] > rows:
            raise torch.OutOfMemoryError("out of memory")
        return function(*batch)

    return limited, sizes


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    double, sizes = holding(3, lambda x, y: x + y)
    fitting, x = MemoryFittingBatches(), torch.arange(10.0)
    assert torch.equal(torch.cat(fitting(double, x, x)), 2 * x)
    assert sizes == [10, 5, 2, 2, 2, 2, 2]
    assert torch.equal(torch.cat(fitting(double, x[:3], x[:3])), 2 * x[:3])
    assert sizes[7:] == [2, 1], "what fitted is remembered"


def test_one_image_that_does_not_fit_is_an_error_in_one_sentence():
    nothing, _ = holding(0, lambda x: x)
    with pytest.raises(ModelkinError, match="not even one image fits"):
        MemoryFittingBatches()(nothing, torch.rand(4, 1))


def test_an_empty_batch_is_one_part():
    assert [len(part) for part in MemoryFittingBatches()(lambda x: x, torch.rand(0, 3))] == [0]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return classifier.frozen(
        building.new_model("vgg", channels=1, size=8, classes=10, width=4, representation=16)
    )


def test_an_inversion_that_runs_out_of_memory_ends_the_same(network, monkeypatch):
    seeds, targets = torch.rand(2, 8, 1, 8, 8, generator=torch.manual_seed(1))
    descent = inversion.published(10, 0.1)
    whole = inversion.invert(network, seeds, targets, descent)
    wanted, sizes = holding(8, network.network.forward)
    limited = holding(3, wanted)[0]

    def forward(x):  # targets are seen without gradients, which costs less memory
        return limited(x) if torch.is_grad_enabled() else wanted(x)

    monkeypatch.setattr(network.network, "forward", forward)
    halved = inversion.invert(network, seeds, targets, descent)
    assert max(sizes[1:]) == 2
    assert torch.allclose(whole.images, halved.images, atol=1e-6)


def test_mixed_precision_is_near_and_leaves_images_and_results_in_float32(network):
    x = torch.rand(16, 1, 8, 8, generator=torch.manual_seed(1))
    with torch.no_grad():
        full = network.both(x)
        precision.use_precision("bf16")
        seen = []
        network.network[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
        mixed = network.both(x)
        alone = network.representation(x), network(x)
    assert seen[0] == torch.bfloat16
    for a, b, c in zip(full, mixed, alone, strict=True):
        assert b.dtype == c.dtype == torch.float32
        assert torch.equal(b, c)
        assert not torch.equal(a, b)
        assert torch.allclose(a, b, atol=0.03 * float(a.abs().max()))


def test_an_inversion_in_mixed_precision_reaches_its_target(network):
    precision.use_precision("bf16")
    seeds, targets = torch.rand(2, 6, 1, 8, 8, generator=torch.manual_seed(1))
    found = inversion.invert(network, seeds, targets, inversion.published(60, 0.3, schedule="cosine"))
    assert found.images.dtype == torch.float32
    precision.use_precision("float32")
    with torch.no_grad():
        wanted, reached = network.representation(targets), network.representation(found.images)
    assert ((reached - wanted).norm(dim=1) / wanted.norm(dim=1)).median() < 0.1


@pytest.mark.parametrize(("name", "fast"), [("float32", False), ("tf32", True), ("bf16", True)])
def test_a_job_computes_as_its_config_says(name, fast):
    device = jobs.job_device({"device": "cpu", "precision": name})
    assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is fast
    assert precision.describe_device(device) == ("cpu" if name == "float32" else f"cpu {name}")


def test_saliency_in_parts_that_fit(network, digits_images):
    whole = saliency_chunks(network, digits_images)
    limited = holding(5, network.network.forward)[0]
    network.network.forward = limited
    for a, b in zip(whole, saliency_chunks(network, digits_images), strict=True):
        assert torch.allclose(*(torch.from_numpy(part["saliency"].values) for part in (a, b)), atol=1e-6)


@pytest.fixture
def digits_images():

    test = datasets.load("digits", size=8, test=40)["test"]
    return test.pick(range(12))


@pytest.mark.slow
def test_the_gpu_benchmark_runs_on_what_is_here():
    where = "cuda" if torch.cuda.is_available() else "cpu"
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", where, "--small"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for part in (
        "representation",
        "inversion, fast steps, bf16",
        "PGD",
        "activations, tf32",
        "knn_jaccard, all",
    ):
        assert f"| {part}" in done.stdout


@pytest.mark.parametrize("name", precision.PRECISIONS)
def test_measures_multiply_in_full_whatever_networks_run_in(monkeypatch, name):
    precision.use_precision(name)
    original, seen = similarity._measure, []

    def watched(*arguments):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.is_autocast_enabled("cpu")))
        return original(*arguments)

    monkeypatch.setattr(similarity, "_measure", watched)
    values = xr.DataArray(np.random.default_rng(0).normal(size=(20, 3)), dims=("sample", "feature"))
    values = values.assign_coords(sample=[str(each) for each in range(20)])
    chosen = [ConfiguredMeasure("linear_cka", {})]
    with precision.autocast(torch.device("cpu")):
        similarity.similarity_rows(
            [Pair("natural", "digits", "a", "b")], lambda run, what: values, chosen, permutations=0, seed=0
        )
    assert seen == [(False, False)]
    assert torch.backends.cuda.matmul.allow_tf32 == (name != "float32"), "networks go on as before"
