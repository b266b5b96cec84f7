"""Compare the layers of one model with each other, on natural images and on those made to fool it."""

from modelkin import jobs, precision
from modelkin.data.images import load_images
from modelkin.layers.recorded import within_maps, write_comparison
from modelkin.layers.views import LayeredModel

name = snakemake.wildcards.model
with jobs.running_job(snakemake.log[0], f"layers within {name}", snakemake.input):
    config, params, manifest = snakemake.config, snakemake.params, snakemake.input.model
    device = jobs.job_device(config)
    model = jobs.load_configured_model(config, manifest, device, params.resize)
    images = dict(zip(params.layers["images"], map(load_images, snakemake.input.images), strict=True))
    untrained = None
    if params.layers["baseline"] == "untrained":
        untrained = jobs.configured_untrained_weights(config, manifest, params.seed)
    layered = LayeredModel(model, params.layers["layers"], name)
    maps = within_maps(
        layered,
        images,
        params.dataset,
        untrained,
        params.layers["features"],
        params.layers.get("procrustes", False),
    )
    write_comparison(
        snakemake.output[0],
        maps,
        params.layers["estimator"],
        seed=params.seed,
        progress=lambda total: jobs.Progress(total, "batches"),
        stage="layers_within",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
        device=precision.describe_device(device),
    )
