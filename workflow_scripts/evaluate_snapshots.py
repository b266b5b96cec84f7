"""How good one model's snapshots are, on training and on test images, clean and attacked."""

import pandas as pd

from modelkin import jobs, precision
from modelkin.data.images import load_images
from modelkin.networks.weights import load_snapshot
from modelkin.store import frames, manifests
from modelkin.training.snapshots import snapshot_row

name = snakemake.wildcards.model
with jobs.running_job(snakemake.log[0], f"evaluate snapshots {name}", snakemake.input):
    device = jobs.job_device(snakemake.config)
    splits = {
        split: load_images(snakemake.input.dataset, split).spread(snakemake.params.images)
        for split in ("train", "test")
    }
    epochs = manifests.read(snakemake.input.snapshots)["facts"]["epochs"]
    progress, rows = jobs.Progress(len(epochs), "snapshots"), []
    for epoch in epochs:
        model = load_snapshot(snakemake.input.snapshots, epoch, device).folded()
        found = snapshot_row(model, splits, snakemake.params.attack, device)
        rows.append({"model": name, "epoch": epoch, **found})
        progress(len(rows))
    frames.write(
        snakemake.output[0],
        pd.DataFrame(rows),
        stage="evaluate_snapshots",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.snapshots, snakemake.input.dataset],
        device=precision.describe_device(device),
    )
