"""What every measure, attack, dataset, source, architecture and figure keeps to.

Each ``check_...`` raises AssertionError where its subject does not. The tests ``test_every_...`` run them
over all that there are, so that a new one is checked as soon as its module is there.
"""

import inspect
import itertools
import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from modelkin import probe_kinds, registry
from modelkin.comparison.measures.base import INVARIANCES, Measure, of_one_type
from modelkin.data.datasets.base import joined
from modelkin.errors import ModelkinError
from modelkin.networks import building, classifier
from modelkin.networks.sources import COMMON, Taken
from modelkin.optimise import attacks, threats


def check_registered(package: ModuleType, names: list[str]) -> None:
    """Every module of the folder is a choice, and each says in a sentence what it is."""
    modules = {path.stem for path in Path(package.__file__).parent.glob("*.py")}
    assert set(names) == modules - {"__init__"} - registry.INTERNAL
    assert names == sorted(names)


def check_documented(thing) -> None:
    """The docstring begins with a sentence on a line of its own."""
    first = (inspect.getdoc(thing) or "").split("\n\n")[0]
    assert len(first) > 10, f"{thing} has no docstring"
    assert first.rstrip().endswith((".", ":")), f"the docstring of {thing} begins with no sentence: {first}"


# measures


def two_arrays(n: int = 40, p: int = 6, q: int = 5, seed: int = 0):
    """Arrays (n, p) and (n, q) that have something in common."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    return x, x[:, : min(p, 4)] @ rng.normal(size=(min(p, 4), q)) + rng.normal(size=(n, q))


def _drawn(draw):
    return lambda seed, n: tuple(draw(np.random.default_rng([seed, k]), n) for k in (0, 1))


# What measures take, of two models: two numbers of features, but the same classes and sizes.
TAKEN = {
    "representation": lambda seed, n: two_arrays(n, 6, 5, seed),
    "logits": lambda seed, n: two_arrays(n, 6, 6, seed),
    "saliency": lambda seed, n: tuple(np.random.default_rng(seed).normal(size=(2, n, 2, 3, 3))),
    "outcomes": _drawn(lambda rng, n: rng.random((n, 2)) < [0.9, 0.4]),
    "distances": _drawn(lambda rng, n: np.stack([rng.random(n) < 0.9, rng.random(n)], 1)),
    "regions": _drawn(lambda rng, n: rng.integers(0, 3, (n, 9))),
}


def taken(measure: Measure, seed: int = 0, n: int = 40):
    """What two models give a measure."""
    return TAKEN[measure.takes](seed, n)


def estimated(measure: Measure, x, y):
    """A measure of arrays or tensors, as :func:`modelkin.compare` takes it."""
    x, y = of_one_type(x, y)
    return measure.compare(measure.prepare(x), measure.prepare(y))


def check_measure_described(measure: Measure) -> None:
    assert isinstance(measure, Measure)
    assert measure.takes in TAKEN, "give an example of what it takes in tests/contracts.py"
    words = (measure.title, measure.source, measure.unit, measure.definition, measure.unrelated)
    assert all(isinstance(text, str) and text for text in words)
    assert measure.probes
    assert set(measure.probes) <= set(probe_kinds.ORIGINS)
    low, high = measure.bounds
    assert low < high
    assert measure.direction in ("similarity", "distance")
    assert measure.direction == "similarity" or low == 0, "a distance begins at 0"
    assert isinstance(measure.symmetric, bool)
    assert isinstance(measure.chance, bool)
    assert isinstance(measure.version, int)
    assert measure.version >= 1
    assert all(isinstance(value, int) for value in measure.settings.values())
    assert set(measure.setting_words) <= set(measure.settings)
    assert all(words.count("{}") == 1 for words in measure.setting_words.values())
    check_documented(measure.prepare)
    check_documented(measure.compare)


def check_measure_value(measure: Measure, seed: int = 0) -> None:
    """Bounds, symmetry as declared, the order of the samples, and a model beside itself."""
    x, y = taken(measure, seed)
    found = estimated(measure, x, y)
    assert measure.bounds[0] - 1e-9 <= found.value <= measure.bounds[1] + 1e-9
    assert found.stderr >= 0
    assert found.n is None or 0 < found.n <= len(x)
    assert (estimated(measure, y, x).value == pytest.approx(found.value, abs=1e-9)) == measure.symmetric
    order = np.random.default_rng(seed).permutation(len(x))
    assert estimated(measure, x[order], y[order]).value == pytest.approx(found.value, abs=1e-9)
    if measure.takes == "outcomes":
        return  # how alike a model is to itself depends on the attack
    own = 0 if measure.direction == "distance" else 1
    assert estimated(measure, x, x).value == pytest.approx(own, abs=1e-7)


def check_measure_permuted(measure: Measure) -> None:
    """Permuting what is prepared is preparing what is permuted; without a chance level it changes nothing."""
    x, y = map(torch.as_tensor, taken(measure))
    order = torch.randperm(len(x), generator=torch.manual_seed(0))
    quick = measure.compare(measure.prepare(x), measure.permuted(measure.prepare(y), order))
    slow = estimated(measure, x, y[order])
    assert quick.value == pytest.approx(slow.value, abs=1e-12)
    assert quick.stderr == pytest.approx(slow.stderr, abs=1e-9)


def check_measure_repeatable(measure: Measure) -> None:
    """The same input gives the same value and is left as it was."""
    x, y = (torch.as_tensor(part) for part in of_one_type(*taken(measure)))
    given = x.clone(), y.clone()
    prepared = measure.prepare(x), measure.prepare(y)
    assert all(len(value) == len(x) for part in prepared for value in part.values()), "samples come first"
    kept = [{key: value.clone() for key, value in part.items()} for part in prepared]
    first, again = measure.compare(*prepared), measure.compare(*prepared)
    assert first == again == estimated(measure, *given)
    assert torch.equal(x, given[0])
    assert torch.equal(y, given[1])
    for part, before in zip(prepared, kept, strict=True):
        assert all(torch.equal(part[key], value) for key, value in before.items())


def check_measure_precision(measure: Measure) -> None:
    """Other types of the same numbers give the same value: float32, and half precision beside integers."""
    x, y = (np.asarray(part) for part in taken(measure))
    narrow = [part.astype(np.float32) for part in (x, y)]
    wide = estimated(measure, *(part.astype(float) for part in narrow)).value
    assert estimated(measure, *narrow).value == pytest.approx(wide, abs=1e-5)
    assert estimated(measure, x.astype(np.float32), y.astype(float)).value == pytest.approx(wide, abs=1e-5)
    half, whole = x.astype(np.float16), (9 * y.astype(float)).astype(int)
    wide = estimated(measure, half.astype(float), whole.astype(float)).value
    assert estimated(measure, half, whole).value == pytest.approx(wide, abs=1e-5)


def check_measure_refuses(measure: Measure) -> None:
    """What cannot be compared is refused in a sentence that says why."""
    x, y = taken(measure)
    bad = x.astype(float)
    bad[(3,) + (0,) * (bad.ndim - 1)] = np.nan
    cases = {"NaN": bad, "at least": x[:1], "dimension": x[:, 0] if x.ndim == 2 else x[:, 0, 0, 0]}
    cases |= {"samples": x[:-1], "no values": x[:, :0]}
    for said, wrong in cases.items():
        with pytest.raises(ModelkinError, match=said) as found:
            estimated(measure, wrong, y)
        assert "\n" not in str(found.value)


def check_measure_of_constants(measure: Measure) -> None:
    """What is the same for all samples has a value within bounds, or the measure says that it has none."""
    x, y = taken(measure)
    constant = np.broadcast_to(x[:1].astype(float), x.shape).copy()
    try:
        found = estimated(measure, constant, y).value
    except ModelkinError:
        return
    assert measure.takes != "representation", "no similarity of constant representations is defined"
    assert measure.bounds[0] - 1e-9 <= found <= measure.bounds[1] + 1e-9


def _moved(x: np.ndarray, what: str, seed: int, scale: float, shift: float) -> np.ndarray:
    """One model's values after a change that a measure may be invariant to."""
    rng = np.random.default_rng(seed)
    rows = x.reshape(len(x), -1)
    width = rows.shape[1]
    return {
        "permutation": lambda: rows[:, np.roll(np.arange(width), 1 + seed % (width - 1))],
        "rotation": lambda: rows @ np.linalg.qr(rng.normal(size=(width, width)))[0],
        "scale": lambda: scale * rows,
        "shift": lambda: rows + shift * rng.normal(size=width),
        "row_shift": lambda: rows + shift * rng.normal(size=(len(rows), 1)),
    }[what]().reshape(x.shape)


WITH_FEATURES = ("representation", "logits", "saliency")


def check_measure_invariances(
    measure: Measure, seed: int = 0, scale: float = 3.0, shift: float = 2.0
) -> None:
    """Each declared invariance holds, whichever of the two models is changed."""
    assert set(measure.invariances) <= set(INVARIANCES)
    assert measure.takes in WITH_FEATURES or not measure.invariances, "what it takes has no features"
    x, y = taken(measure, seed)
    for what in measure.invariances:
        found = estimated(measure, x, y).value
        for moved in ((_moved(x, what, seed, scale, shift), y), (x, _moved(y, what, seed, scale, shift))):
            assert estimated(measure, *moved).value == pytest.approx(found, abs=1e-7), what


def check_measure_declares_all_invariances(measure: Measure) -> None:
    """What is not declared changes the value of some example."""
    if measure.takes not in WITH_FEATURES:
        return
    for what in set(INVARIANCES) - set(measure.invariances):
        changes = []
        for seed in range(3):
            x, y = taken(measure, seed)
            moved = estimated(measure, _moved(x, what, seed, 3.0, 2.0), y).value
            changes.append(abs(moved - estimated(measure, x, y).value))
        assert max(changes) > 1e-6, f"{what} changes nothing, and is not declared"


MEASURE_CHECKS = [
    check_measure_described,
    check_measure_value,
    check_measure_permuted,
    check_measure_repeatable,
    check_measure_precision,
    check_measure_refuses,
    check_measure_of_constants,
    check_measure_invariances,
    check_measure_declares_all_invariances,
]


# attacks

# So large that every attack finds its way out of the small model's classes.
RADIUS = {"linf": 0.3, "l2": 2.0, "gabor": 255.0, "jpeg": 400.0, "snow": 8.0}


def small_model(classes: int = 3) -> nn.Module:
    """A perceptron on images of 16 pixels that has a gradient everywhere."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(768, 30), nn.Tanh(), nn.Linear(30, classes))
    return classifier.frozen(classifier.Classifier(network, "3", [0.5] * 3, [0.5] * 3, 16))


def losses(model, images, labels):
    """Cross-entropy of each image."""
    with torch.no_grad():
        return nn.functional.cross_entropy(model(images), labels, reduction="none")


def check_attack_described(attack: ModuleType) -> None:
    check_documented(attack)
    check_documented(attack.attack)
    assert attack.THREATS
    assert set(attack.THREATS) <= set(RADIUS)
    assert all(isinstance(value, int | float) for value in attack.DEFAULTS.values())
    parameters = inspect.signature(attack.attack).parameters
    assert list(parameters)[:2] == ["threat", "radius"]
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    named = {each.name for each in parameters.values() if each.kind is not each.VAR_KEYWORD}
    own = named - {"threat", "radius", "seed", "device"}
    assert own <= set(attack.DEFAULTS)
    assert open_ended or own == set(attack.DEFAULTS), (
        "the config may give what DEFAULTS has, and nothing else"
    )


def made(attack: ModuleType, threat: str, seed: int = 1):
    """The attack with its default settings under the threat."""
    name = attack.__name__.rpartition(".")[2]
    settings = attacks.defaults_under(name, threat) if name in attacks.names() else attack.DEFAULTS
    return attack.attack(threat, RADIUS[threat], seed=seed, device="cpu", **settings)


def check_in_ball(found, images, threat: str) -> None:
    assert found.shape == images.shape
    assert found.dtype == images.dtype
    assert torch.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert (threats.get(threat).distance(images, found) <= RADIUS[threat] * (1 + 1e-5)).all()


def check_attack_effect(attack: ModuleType) -> None:
    """It stays in its ball and in [0, 1], raises the loss, repeats itself, and leaves its input alone."""
    model = small_model()
    images = torch.rand(8, 3, 16, 16, generator=torch.manual_seed(1))
    labels, before = model(images).argmax(1), images.clone()
    weights = [value.clone() for value in model.state_dict().values()]
    for threat in attack.THREATS:
        found = made(attack, threat)(model, images, labels)
        check_in_ball(found, images, threat)
        assert torch.equal(images, before), "the images were changed"
        assert all(map(torch.equal, weights, model.state_dict().values())), "the model was changed"
        assert losses(model, found, labels).mean() > losses(model, images, labels).mean() + 0.1
        assert torch.equal(made(attack, threat)(model, images, labels), found), "the same seed, other images"


def check_attack_without_gradient(attack: ModuleType) -> None:
    """A model that answers the same whatever it sees is neither fooled nor an error."""
    model = small_model()
    nn.init.zeros_(model.network[1].weight)
    images = torch.rand(3, 3, 16, 16, generator=torch.manual_seed(2))
    labels = model(images).argmax(1)
    for threat in attack.THREATS:
        found = made(attack, threat)(model, images, labels)
        check_in_ball(found, images, threat)
        assert torch.equal(model(found).argmax(1), labels)


ATTACK_CHECKS = [check_attack_described, check_attack_effect, check_attack_without_gradient]


# datasets


def check_dataset(dataset, settings: dict) -> None:
    """What is said of the dataset beforehand is what is loaded, each time the same.

    dataset: a module of the registry, or what has its functions. settings: with which it can be loaded here.
    """
    assert dataset.missing(**settings) == []
    counted, splits = dataset.counts(**settings), dataset.load(**settings)
    assert set(splits) in ({"test"}, {"train", "test"})
    every = [each for split in splits.values() for each in split.ids]
    assert len(set(every)) == len(every), "an id stands for one image of the whole dataset"
    for name, split in splits.items():
        assert counted[name] == len(split) == len(split.ids) == len(split.labels)
        assert counted["classes"] == len(split.classes) == len(set(split.classes))
        assert np.issubdtype(split.labels.dtype, np.integer)
        assert 0 <= split.labels.min() <= split.labels.max() < len(split.classes)
        whole = joined(split)
        assert whole.shape == tuple(dataset.shape(**settings))
        assert counted["size"] in (None, whole.shape[-1])
        pixels = whole.floats()
        assert pixels.dtype == np.float32
        assert 0 <= pixels.min() < pixels.max() <= 1
        part = joined(split.pick([1, 2]))
        assert part.ids.tolist() == whole.ids[1:3].tolist()
        assert np.array_equal(part.floats(), pixels[1:3])
        again = joined(dataset.load(**settings)[name])
        assert again.ids.tolist() == whole.ids.tolist()
        assert np.array_equal(again.floats(), pixels)
    if "train" not in splits:
        assert counted["train"] == 0


# sources


def check_source_described(source: ModuleType) -> None:
    check_documented(source)
    assert isinstance(source.KEYS, frozenset)
    assert not source.KEYS & COMMON, "what may be said of every model is no key of one source"
    assert set(source.REQUIRED) <= source.KEYS
    parameters = inspect.signature(source.take).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    assert open_ended or set(parameters) - {"classes"} == source.KEYS


def check_source(source: ModuleType, classes: int, entry: dict) -> None:
    """A model of the source can be made again of what is kept of it.

    entry: what a config says of a model that can be had here.
    """
    assert set(source.REQUIRED) <= set(entry) <= source.KEYS
    source.check({"name": "mine", **entry})
    named = source.files(entry)
    assert named == [entry["weights"]] if "weights" in entry else named == []
    found = source.take(classes, **entry)
    assert isinstance(found, Taken)
    assert found.origin
    for values in (found.mean, found.std):
        assert values is None or all(math.isfinite(value) for value in values)
    weights = found.network.state_dict()
    again = source.network(**json.loads(json.dumps(dict(found.build))))
    again.load_state_dict(weights)
    x = torch.rand(2, 3, found.size or 32, found.size or 32, generator=torch.manual_seed(0))
    with torch.no_grad():
        logits, repeated = found.network.eval()(x), again.eval()(x)
    assert logits.shape == (2, classes)
    assert torch.equal(logits, repeated)
    try:
        blank, size = source.blank(classes, entry["architecture"], entry.get("options", {}))
    except ModelkinError:
        return  # a source that builds no network without its weights says so
    assert size == found.size
    shapes = {key: value.shape for key, value in blank.state_dict().items()}
    assert shapes == {key: value.shape for key, value in weights.items()}


# architectures


def check_architecture(build, channels: int, size: int) -> None:
    """Images to representations, each image by itself, the same for the same seed, and all of it is used.

    build: of a module of the registry.
    """

    def made():
        torch.manual_seed(0)
        return build(channels, size, 4, 12)

    features = made().eval()
    x = torch.rand(3, channels, size, size, generator=torch.manual_seed(1))
    with torch.no_grad():
        found = features(x)
        assert found.shape == (3, 12)
        assert torch.isfinite(found).all()
        assert torch.allclose(found[:1], features(x[:1]), atol=1e-5), "an image depends on those beside it"
        assert not torch.allclose(found[0], found[1]), "the pixels do not matter"
        assert torch.equal(made().eval()(x), found), "the same seed, other weights"
    trained = made().train()
    trained(x).square().sum().backward()
    unused = [name for name, value in trained.named_parameters() if value.grad is None]
    assert not unused, f"no gradient reaches {unused}"


def check_as_classifier(name: str, channels: int, size: int) -> None:
    """The classifier of an architecture says its representation and its logits alike, however it is asked."""
    shape = {"channels": channels, "size": size, "classes": 5, "width": 4, "representation": 12}
    model = building.new_model(name, **shape).eval()
    x = torch.rand(3, channels, size, size, generator=torch.manual_seed(1))
    assert torch.equal(model(x), model.network[1](model.representation(x)))
    assert all(map(torch.equal, model.both(x), (model.representation(x), model(x))))


# figures


def check_figure_described(figure, *, sections, tables, settings, measures) -> None:
    """It says where it belongs and what it needs, all of which there is."""
    assert figure.title
    assert figure.title == figure.title.strip()
    assert figure.question.endswith("?")
    assert figure.section in sections
    assert figure.tables
    assert set(figure.tables) <= {*tables, "images", "attacked", "stitched"}
    assert set(figure.settings) <= set(settings)
    assert figure.measure in {None, *measures}
    assert not (figure.per_measure and figure.measure)
    asked = list(itertools.islice(inspect.signature(figure.draw).parameters, 3))
    assert len(asked) == 2 + figure.per_measure, (
        "draw(data, settings), and the measure's label if it is for each"
    )
