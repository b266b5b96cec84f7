"""Models, training, inversion and activations: that they do what they say, and refuse what is wrong."""

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file, save_file

from modelkin import seeds
from modelkin.comparison.activations import compute_activations, saliency_chunks
from modelkin.data import datasets
from modelkin.data.images import Images
from modelkin.data.probes import seed_target_pairs
from modelkin.errors import ModelkinError
from modelkin.networks import architectures, building, classifier
from modelkin.networks.weights import WEIGHTS, load_model, training_history, write_model
from modelkin.optimise import inversion
from modelkin.training import evaluation, fit
from modelkin.training.distillation import Distillation
from modelkin.training.objectives import RECIPES, Robustness

SETTINGS = {
    "architecture": "vgg",
    "recipe": "standard",
    "eps": 0,
    "norm": "l2",
    "epochs": 6,
    "batch_size": 64,
    "learning_rate": 6e-3,
    "weight_decay": 1e-4,
    "attack_steps": 3,
    "attack_step": 2 / 3,
    "trades_beta": 6.0,
    "width": 4,
    "representation": 16,
}
EVALUATION = {"norm": "l2", "radius": 0.5, "steps": 5, "step_size": 0.25}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=8, test=300)


@pytest.fixture(scope="module")
def trained(digits):
    """A model for each recipe, by recipe."""
    found = {}
    for recipe in RECIPES:
        eps = {"eps": 0 if recipe == "standard" else 0.5, "recipe": recipe}
        found[recipe] = fit.train(digits["train"], digits["test"], SETTINGS | eps, seed=1)
    return found


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 16)])
def test_architectures(name, channels, size):
    model = building.new_model(
        name, channels=channels, size=size, classes=5, width=4, representation=12
    ).eval()
    x = torch.rand(3, channels, size, size)
    assert model.representation(x).shape == (3, 12)
    assert torch.equal(model(x), model.network[1](model.representation(x)))
    assert all(map(torch.equal, model.both(x), (model.representation(x), model(x))))
    # Each image's answer is its own, and depends on its pixels.
    assert torch.allclose(model(x)[:1], model(x[:1]), atol=1e-5)
    assert not torch.allclose(model(x)[0], model(x)[1])


def test_training_learns_and_is_repeatable(digits, trained):
    model, history = trained["standard"]
    assert history[-1]["test_accuracy"] > 0.85
    assert history[-1]["loss"] < history[0]["loss"]
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    again, _ = fit.train(digits["train"], digits["test"], SETTINGS, seed=1)
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    other, _ = fit.train(digits["train"], digits["test"], SETTINGS | {"epochs": 1}, seed=2)
    assert not torch.equal(other.network[1].weight, model.network[1].weight)


@pytest.mark.parametrize("recipe", ["adversarial", "trades"])
def test_adversarial_training_makes_robust(digits, trained, recipe):
    plain = evaluation.evaluate_model(trained["standard"][0], digits["test"], **EVALUATION)
    robust = evaluation.evaluate_model(trained[recipe][0], digits["test"], **EVALUATION)
    assert robust["adversarial_accuracy"] > plain["adversarial_accuracy"] + 0.1
    assert plain["clean_accuracy"] > plain["adversarial_accuracy"]


def test_linf_training_attacks_within_its_radius(digits):
    against = Robustness("adversarial", 0.1, "linf", 3, 2 / 3, 6.0)
    attack = against.attack(share=0.25)
    assert attack.ball.radius == pytest.approx(0.05)
    assert against.attack(share=0.9).ball.radius == 0.1
    linf = SETTINGS | {"recipe": "adversarial", "eps": 0.1, "norm": "linf", "epochs": 1}
    _, history = fit.train(digits["train"], digits["test"], linf, seed=0)
    assert np.isfinite(history[0]["loss"])


def test_diverging_training_is_an_error(digits):
    with pytest.raises(ModelkinError, match="diverged"):
        fit.train(digits["train"], digits["test"], SETTINGS | {"learning_rate": 1e30}, seed=0)


def seed_and_target(digits, n=30):
    test = digits["test"]
    drawn = seed_target_pairs(test, n, seeds.generator(0, "pairs"))
    assert (drawn["seed_label"] != drawn["target_label"]).all()
    assert drawn["sample"].is_unique
    return drawn, *(torch.from_numpy(test.floats(test.rows(drawn[role]))) for role in ("seed", "target"))


def test_inversion_reaches_the_target(digits, trained):
    model, _ = trained["standard"]
    drawn, start, target = seed_and_target(digits)
    found = inversion.invert(model, start, target, inversion.published(150, 0.4, schedule="cosine"))
    wanted, reached = model.representation(target), model.representation(found.images)
    by_hand = (reached - wanted).norm(dim=1) / wanted.norm(dim=1)
    assert torch.allclose(found.loss, by_hand, atol=1e-4)
    assert found.facts()["median_loss"] < 0.1
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    kept = found.to_dataset(drawn, digits["test"].classes)
    assert kept["image"].dtype == np.float32
    assert kept["sample"].to_numpy().tolist() == drawn["sample"].tolist()


def test_inversion_of_a_dead_model_is_an_error(digits):
    _, start, target = seed_and_target(digits, 3)
    dead = building.new_model("mlp", channels=1, size=8, classes=10, width=2, representation=4)
    with torch.no_grad():
        for parameter in dead.network[0].parameters():
            parameter.zero_()
    with pytest.raises(ModelkinError, match="zero for 3 of 3 targets"):
        inversion.invert(classifier.frozen(dead), start, target)


def test_inversions_in_parts_are_those_of_each_part(digits, trained, monkeypatch):
    """Parts keep large probes out of memory; each is inverted as if it stood alone."""
    model, test = trained["standard"][0], digits["test"]
    drawn = seed_target_pairs(test, 10, np.random.default_rng(0))
    descent = inversion.published(5, 0.4)
    told = []
    monkeypatch.setattr(inversion, "PART_BYTES", 4 * 64 * 4)
    parts = inversion.inversion_parts(model, test, drawn, descent, progress=lambda *said: told.append(said))
    said = [compute() for compute in parts]
    assert [part.sizes["sample"] for part in said] == [4, 4, 2]
    assert said[1]["sample"].values.tolist() == drawn["sample"].tolist()[4:8]
    x = [torch.from_numpy(test.floats(test.rows(drawn[role]))) for role in ("seed", "target")]
    alone = inversion.invert(model, *(images[4:8] for images in x), descent)
    assert np.array_equal(said[1]["image"].values, alone.images.numpy())
    whole = inversion.Inverted.joined([inversion.Inverted.told(stored) for stored in said])
    assert len(whole.loss) == whole.facts()["images"] == 10
    assert told[-1][0] == 10
    assert told[-1][1] == 10 * 6, "five steps and a last look for each image"
    *_, last = inversion.inversion_parts(model, test, drawn, descent)
    assert last().identical(said[2]), "a part does not depend on those before it"


def test_activations_by_hand(digits, trained):
    model, test = trained["standard"][0], digits["test"].select(digits["test"].ids[:20])
    found = compute_activations(model, test, batch_size=7)
    maps = xr.concat(list(saliency_chunks(model, test, batch_size=7)), "sample")["saliency"]
    x = torch.from_numpy(test.floats()).requires_grad_(True)
    logits = model(x)
    for i in range(3):
        loss = torch.nn.functional.cross_entropy(logits[i : i + 1], torch.from_numpy(test.labels[i : i + 1]))
        (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
        assert maps.to_numpy()[i] == pytest.approx(gradient[i].numpy(), abs=1e-6)
    assert found["logits"].to_numpy() == pytest.approx(logits.detach().numpy(), abs=1e-5)
    assert found["representation"].shape == (20, 16)
    assert found["sample"].to_numpy().tolist() == maps["sample"].to_numpy().tolist() == test.ids.tolist()


def test_distillation_weighs_the_two_labels(trained, digits):
    (teacher, _), (student, _) = trained["adversarial"], trained["standard"]
    x = torch.from_numpy(digits["test"].pixels[:50])
    y = torch.from_numpy((digits["test"].labels[:50] + 1) % 10)
    both = [torch.nn.functional.cross_entropy(student(x), label) for label in (y, teacher(x).argmax(1))]
    loss, logits = Distillation(weight=0.3, shift=0, noise=0.0).objective(teacher)(student, x, y, 0.0)
    assert loss.item() == pytest.approx(0.7 * both[0].item() + 0.3 * both[1].item(), rel=1e-5)
    assert torch.allclose(logits, student(x), atol=1e-5)


def test_augmentation_shifts_and_stays_an_image(digits):
    torch.manual_seed(0)
    x = torch.from_numpy(digits["test"].pixels[:50])
    moved = Distillation(weight=0.5, shift=2, noise=0.0).augment(x)
    assert moved.shape == x.shape
    centre = [torch.equal(a[:, 3:5, 3:5], b[:, 3:5, 3:5]) for a, b in zip(x, moved, strict=True)]
    assert not all(centre)
    noisy = Distillation(weight=0.5, shift=0, noise=0.2).augment(x)
    assert 0 <= noisy.min() < noisy.max() <= 1
    assert not torch.equal(noisy, x)


def test_distillation_moves_the_student_towards_the_teacher(digits, trained):
    teacher, _ = trained["adversarial"]
    alone, taught = (
        fit.train(
            digits["train"],
            digits["test"],
            SETTINGS | {"architecture": "mlp", "epochs": 8},
            seed=3,
            objective=Distillation(weight=weight, shift=1, noise=0.1).objective(teacher),
        )[0]
        for weight in (0.0, 1.0)
    )
    agreement = [evaluation.model_agreement(model, teacher, digits["test"]) for model in (alone, taught)]
    assert agreement[1] > agreement[0]
    assert evaluation.model_accuracy(taught, digits["test"]) > 0.7


# what comes from disk


@pytest.fixture
def stored(trained, tmp_path):
    model, history = trained["standard"]
    manifest = tmp_path / "model.json"
    write_model(manifest, model, history, stage="train", version=1, device="cpu")
    return manifest


def test_a_stored_model_is_the_same_model(stored, trained, digits):
    x = torch.from_numpy(digits["test"].pixels[:5])
    assert torch.equal(load_model(stored)(x), trained["standard"][0](x))
    assert training_history(stored) == trained["standard"][1]


def test_nan_weights_are_refused(stored):
    path = stored.with_suffix("") / WEIGHTS
    weights = load_file(path)
    weights["network.1.weight"][0, 0] = torch.nan
    save_file(weights, path)
    with pytest.raises(ModelkinError, match="NaN or infinite values, first in 'network.1.weight'"):
        load_model(stored)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"<html>" + b])
def test_damaged_weights_are_refused(stored, damage):
    path = stored.with_suffix("") / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelkinError, match="cannot be used"):
        load_model(stored)


def test_weights_that_do_not_fit_are_refused(stored):
    path = stored.with_suffix("") / WEIGHTS
    save_file({"network.1.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ModelkinError, match="cannot be used"):
        load_model(stored)


def test_a_wrong_number_of_classes_is_refused(trained, digits):
    test = digits["test"]
    more = Images(test.pixels, test.labels, test.ids, [*test.classes, "eleventh"])
    with pytest.raises(ModelkinError, match="but the dataset has 11 classes"):
        building.check_fits(trained["standard"][0], more, "vgg")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_agrees_with_cpu(digits, trained):
    model, test = trained["standard"][0], digits["test"]
    cpu = compute_activations(model, test)
    gpu = compute_activations(model.cuda(), test, device="cuda")
    model.cpu()
    for name in cpu:
        assert gpu[name].to_numpy() == pytest.approx(cpu[name].to_numpy(), abs=1e-3)
