"""The version of each stage's results, in one table that imports nothing.

Raise a number when the stage's results change for the same settings: Snakemake then reruns it.
A golden test fails when results change and the number does not. Measures carry their own.
"""

VERSIONS = {
    "dataset": 2,
    "probes": 1,
    "train": 3,
    "snapshots": 1,
    "evaluate_snapshots": 1,
    "training_epochs": 1,
    "import": 2,
    "evaluate": 4,
    "invert": 2,
    "attack": 2,
    "boundaries": 1,
    "activations": 4,
    "imported": 1,
    "similarity": 1,
    "tables": 3,
    "dictionary": 3,
    "clusters": 4,
    "components": 2,
    "sat_shortcut": 1,
    "draws": 2,
    "ensembles": 5,
    "distill": 1,
    "distillation": 2,
    "recommendations": 1,
    "figures": 3,
}
