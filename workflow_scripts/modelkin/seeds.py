"""Randomness: one seed in the config, and a stream of its own for every job, derived from names."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for the job of these names (stage, model, ...): the same wherever it stands."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def generator(seed: int, *names: str) -> np.random.Generator:
    """A numpy generator for the job of these names."""
    return np.random.default_rng(derive_seed(seed, *names))
