"""Compare the layers of one model along its training, with those of its last epoch and of others."""

from modelkin import jobs, precision
from modelkin.data.images import load_images
from modelkin.layers.recorded import best_epoch, snapshot_maps, write_comparison
from modelkin.layers.views import LayeredModel
from modelkin.networks.weights import load_snapshot
from modelkin.store import frames, manifests

name = snakemake.wildcards.model
with jobs.running_job(snakemake.log[0], f"layers along the training of {name}", snakemake.input):
    params, snapshots = snakemake.params, snakemake.input.snapshots
    device = jobs.job_device(snakemake.config)
    epochs = manifests.read(snapshots)["facts"]["epochs"]
    loaded = {epoch: load_snapshot(snapshots, epoch, device, params.resize) for epoch in epochs}
    weights = {epoch: model.network.state_dict() for epoch, model in loaded.items()}
    images = load_images(snakemake.input.images)
    best = best_epoch(frames.read(snakemake.input.evaluations), params.robust)
    layered = LayeredModel(loaded[epochs[-1]], "cuts", name)
    maps = snapshot_maps(layered, weights, images, best, params.against)
    write_comparison(
        snakemake.output[0],
        maps,
        params.estimator,
        seed=params.seed,
        progress=lambda total: jobs.Progress(total, "batches"),
        more_facts={"best": best, "epochs": epochs},
        stage="layers_snapshots",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
        device=precision.describe_device(device),
    )
