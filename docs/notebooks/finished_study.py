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
# # A finished study
#
# `make run` has finished the default study; any other does as well. Its tables are parquet files, and every column stands in `dictionary`.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from modelkin import load_images
from modelkin.analysis import level_means

study = Path("results/digits")
tables = {path.stem: pd.read_parquet(path) for path in (study / "tables").glob("*.parquet")}
tables["models"][["name", "architecture", "eps", "clean_accuracy", "inversion_failed"]]

# %% [markdown]
# ## By what was compared
#
# Titles, bounds and directions are a table too.

# %%
tables["measures"].set_index("measure")[["title", "direction", "low", "high", "kinds"]]

# %% [markdown]
# ## Who is most alike?

# %%
similarity = tables["similarity"]
pairs = similarity[similarity["model_a"] != similarity["model_b"]]
by = "linear_cka"
inverted = pairs.query("measure == @by and kind == 'inverted'").sort_values("value", ascending=False)
inverted[["model_a", "model_b", "value", "ci_low", "ci_high", "chance"]].head()

# %% [markdown]
# ## What robustness changes
#
# Means over pairs of one level with intervals that resample models, as the explorer has them.

# %%
found = level_means.level_differences(similarity, tables["models"])
found[found["measure"] == by] if len(found) else "too few models of each level for an interval"

# %% [markdown]
# ## The whole matrix

# %%
matrix = inverted.pivot_table(index="model_a", columns="model_b", values="value")
figure, axis = plt.subplots(figsize=(5, 4))
sns.heatmap(matrix, cmap="viridis", ax=axis, cbar_kws={"label": "linear CKA, inverted images"})
axis.set(xlabel="model", ylabel="images made for")

# %% [markdown]
# ## The images behind a pair

# %%
name = inverted.iloc[0]["model_a"]
images = load_images(study / "probes" / "inverted" / f"{name}.json")
figure, axes = plt.subplots(1, 8, figsize=(8, 1.2))
for axis, image in zip(axes, images.floats(range(8)), strict=True):
    axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    axis.axis("off")
