"""Compare the layers of two models, on natural images and on those that were made to fool either."""

from modelkin import jobs, precision, probe_kinds
from modelkin.data.images import load_images
from modelkin.layers.recorded import between_maps, write_comparison
from modelkin.layers.views import LayeredModel

names = [snakemake.wildcards.model, snakemake.wildcards.partner]
with jobs.running_job(snakemake.log[0], f"layers between {' and '.join(names)}", snakemake.input):
    config, params, manifests = snakemake.config, snakemake.params, snakemake.input.models
    device, layers = jobs.job_device(config), params.layers
    models = [
        LayeredModel(jobs.load_configured_model(config, each, device, params.resize), layers["layers"], name)
        for name, each in zip(names, manifests, strict=True)
    ]
    kinds = [kind for kind in layers["images"] if probe_kinds.is_adversarial(kind)]
    shown = [("natural", params.dataset), *((kind, name) for kind in kinds for name in names)]
    images = dict(zip(shown, map(load_images, snakemake.input.images), strict=True))
    untrained = (None, None)
    if layers["baseline"] == "untrained":
        untrained = [jobs.configured_untrained_weights(config, each, params.seed) for each in manifests]
    maps = between_maps(*models, images, untrained, layers["features"], layers.get("procrustes", False))
    write_comparison(
        snakemake.output[0],
        maps,
        layers["estimator"],
        seed=params.seed,
        progress=lambda total: jobs.Progress(total, "batches"),
        stage="layers_between",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
        device=precision.describe_device(device),
    )
