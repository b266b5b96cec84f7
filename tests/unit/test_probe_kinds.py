"""Kinds of probe: what stands after the colon, and how kinds stand in paths and in figures."""

import pytest

from modelkin import probe_kinds
from modelkin.store import paths

# kind: its origin, its other dataset, its attack, its folder, its words
KINDS = {
    "natural": ("natural", None, None, "natural", "natural"),
    "inverted": ("inverted", None, None, "inverted", "inverted"),
    "adversarial": ("adversarial", None, None, "adversarial", "adversarial"),
    "natural:svhn": ("natural", "svhn", None, "natural.svhn", "natural:svhn"),
    "inverted:big.2": ("inverted", "big.2", None, "inverted.big.2", "inverted:big.2"),
    "adversarial:linf": ("adversarial", None, "linf", "adversarial.linf", "adversarial (linf)"),
    "adversarial:l2-0.5": ("adversarial", None, "l2-0.5", "adversarial.l2-0.5", "adversarial (l2-0.5)"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_says(kind):
    origin, other, attack, folder, words = KINDS[kind]
    assert probe_kinds.origin_of(kind) == origin
    assert probe_kinds.other_dataset_of(kind) == other
    assert probe_kinds.attack_of(kind) == attack
    assert probe_kinds.is_adversarial(kind) == (origin == "adversarial")
    assert probe_kinds.in_words(kind) == words
    assert probe_kinds.kind_of(origin, other or attack) == kind
    assert probe_kinds.folder_of(kind) == folder
    assert probe_kinds.kind_of_folder(folder) == kind


def test_all_kinds_of_a_study():
    own = ["natural", "inverted"]
    assert probe_kinds.all_kinds() == own
    assert probe_kinds.all_kinds(["svhn"], ["adversarial"]) == [
        *(*own, "adversarial"),
        *("natural:svhn", "inverted:svhn"),
    ]
    attacks = ["adversarial:l2", "adversarial:linf"]
    assert probe_kinds.all_kinds(adversarial=attacks) == [*own, *attacks]


def test_paths_know_their_kind():
    made = [
        paths.probe(kind, model) for kind in ("adversarial:l2", "adversarial:0.1") for model in ("a.1", "b")
    ]
    assert paths.by_kind(made) == {"adversarial:l2": made[:2], "adversarial:0.1": made[2:]}
    assert paths.kind_of(f"results/tiny/{paths.activations('inverted:big', 'vgg-0.5')}") == "inverted:big"
