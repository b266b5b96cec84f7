"""One model's card: what it is made of, and how accurate it is on clean and on attacked images."""

from modelkin import jobs, precision, seeds
from modelkin.analysis import tables
from modelkin.data.images import load_images
from modelkin.networks.components import read_components
from modelkin.store import frames, manifests
from modelkin.training.evaluation import evaluate_model

with jobs.running_job(snakemake.log[0], f"evaluate {snakemake.wildcards.model}", snakemake.input) as log:
    evaluation, seed = snakemake.params.evaluation, snakemake.params.seed
    device = jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, snakemake.params.resize
    )
    found = evaluate_model(
        model.folded(),
        load_images(snakemake.input.dataset, "test"),
        **evaluation,
        seed=seeds.derive_seed(seed, "evaluate", snakemake.wildcards.model) % 2**32,
        device=device,
    )
    if found["at_chance"]:
        log.warning(
            "its accuracy, %.3f, is no better than always naming the commonest class", found["clean_accuracy"]
        )
    frames.write(
        snakemake.output[0],
        tables.card_row(
            manifests.read(snakemake.input.model)["facts"],
            found,
            read_components(model.network, model.prepared(model.blank(1))),
        ),
        stage="evaluate",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.dataset],
        device=precision.describe_device(device),
    )
