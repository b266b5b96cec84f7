"""What unit tests of several rooms share: digits, and small models trained on them."""

import pytest
from conftest import TRAINING

from modelkin.data import datasets
from modelkin.training import fit
from modelkin.training.objectives import RECIPES


@pytest.fixture(scope="session")
def digits():
    return datasets.load("digits", size=8, test=300)


def trained_by(recipe, digits):
    """A model and its history."""
    eps = 0 if recipe == "standard" else 0.5
    return fit.train(digits["train"], digits["test"], TRAINING | {"recipe": recipe, "eps": eps}, seed=1)


@pytest.fixture(scope="session")
def standard(digits):
    """A standard model and its history."""
    return trained_by("standard", digits)


@pytest.fixture(scope="session")
def trained(digits, standard):
    """A model and its history for each recipe, by recipe."""
    robust = {recipe: trained_by(recipe, digits) for recipe in RECIPES if recipe != "standard"}
    return {"standard": standard, **robust}
