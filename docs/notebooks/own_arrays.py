# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Measures on your own arrays
#
# Two models saw the same images; what each computed is an array whose rows are the images. Are the two alike? No study, no workflow: arrays are enough.

# %%
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from modelkin import compare
from modelkin.comparison import measures

torch.set_num_threads(1)  # small arrays are faster so

# %% [markdown]
# Two perceptrons of digits that differ in their start alone, and one that was trained on shuffled labels. Their hidden layers are the representations.

# %%
digits = load_digits()
x, y = digits.data / 16, digits.target
shuffled = np.random.default_rng(0).permutation(y)


def hidden(labels, seed):
    """What the hidden layer of a new perceptron is on all images."""
    model = MLPClassifier((32,), max_iter=40, random_state=seed, early_stopping=False).fit(
        x[:1000], labels[:1000]
    )
    return np.maximum(x @ model.coefs_[0] + model.intercepts_[0], 0)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # forty epochs are not all that it could take
    first, second, noise = hidden(y, 0), hidden(y, 1), hidden(shuffled, 2)
images = slice(1000, 1300)
first, second, noise = first[images], second[images], noise[images]

# %% [markdown]
# ## All measures of representations
#
# A value says little by itself: beside it stands its chance level, the same with the images of one model permuted.

# %%
names = [name for name in measures.names() if measures.get(name).takes == "representation"]
rng = np.random.default_rng(0)
rows = []
for name in names:
    measure = measures.get(name)
    other_start, other_labels = compare(name, first, second), compare(name, first, noise)
    chance = np.mean([compare(name, first, second[rng.permutation(300)]).value for _ in range(5)])
    rows.append(
        {
            "measure": name,
            "direction": measure.direction,
            "another start": other_start.value,
            "stderr": other_start.stderr,
            "shuffled labels": other_labels.value,
            "chance": chance,
        }
    )
table = pd.DataFrame(rows).set_index("measure")
table.round(3)

# %% [markdown]
# Every measure should call the two that learned the same task more alike than the one that learned noise. Which do?

# %%
sign = table["direction"].map({"similarity": 1, "distance": -1})
right = sign * table["another start"] > sign * table["shuffled labels"]
right

# %% [markdown]
# ## What leaves a measure unchanged
#
# Each says so: a rotation of the features is nothing to CKA, but something to RSA, whose dissimilarity is a correlation over features.

# %%
rotation = np.linalg.qr(rng.normal(size=(32, 32)))[0]
for name in ("linear_cka", "rsa"):
    print(name, measures.get(name).invariances, compare(name, first, first @ rotation).value)

# %% [markdown]
# ## Many pairs
#
# Do each model's half once, and then all pairs.

# %%
measure = measures.get("procrustes")
parts = {
    name: measure.prepare(torch.tensor(array))
    for name, array in (("first", first), ("second", second), ("noise", noise))
}
square = pd.DataFrame({a: {b: measure.compare(parts[a], parts[b]).value for b in parts} for a in parts})
square.round(2)
