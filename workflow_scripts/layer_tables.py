"""Put into tables what comparisons of layers say, beside attacks and losses."""

from pathlib import PurePosixPath

import pandas as pd

from modelkin import jobs
from modelkin.layers import recorded, tables
from modelkin.store import frames, manifests

with jobs.running_job(snakemake.log[0], "layer tables", snakemake.input):
    params = snakemake.params
    training = [frames.read(each) for each in snakemake.input.epochs]
    found = {name: [] for name in tables.OF_COMPARISONS}
    described, accuracies = [], []
    for manifest in snakemake.input.comparisons:
        facts, parts = manifests.read(manifest)["facts"], recorded.read_comparison(manifest)
        path, exact = PurePosixPath(manifest), facts["exact"]
        if path.parent.name == "snapshots":
            name = path.stem
            found["layer_maps"].append(tables.snapshot_maps_table(parts, name, params.dataset, exact))
            found["layer_epochs"].append(
                tables.epochs_table(parts, name, facts["epochs"], facts["best"], training[0], exact)
            )
            found["layer_epoch_pairs"].append(tables.epoch_pairs_table(parts, name, exact))
            described.append((facts, (name,)))
            continue
        names = (path.stem, path.stem) if path.parent.name == "within" else (path.parent.name, path.stem)
        found["layer_maps"].append(tables.maps_table(parts, names, exact))
        found["layer_summary"].append(tables.summary_table(parts, names, exact))
        if names[0] == names[1]:
            found["layer_adversarial"].append(tables.adversarial_table(parts, names[0], exact))
        accuracies.append(tables.accuracy_table(parts, names))
        described.append((facts, names))
    made = {name: pd.concat(each, ignore_index=True) for name, each in found.items() if each}
    made["layers"] = tables.layers_table(described)
    if params.levels:
        seen = pd.concat(accuracies, ignore_index=True)
        made["layer_transfer"] = tables.transfer_table(made["layer_summary"], seen, params.levels)
        made["layer_transfer_ranks"] = tables.transfer_ranks(made["layer_transfer"])
    frames.write_all(
        snakemake.output,
        made,
        stage="layer_tables",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
