"""Train one model and keep its weights and its history."""

from modelkin import jobs, precision, seeds
from modelkin.data.images import load_images
from modelkin.networks import building
from modelkin.networks.weights import write_model
from modelkin.study.config import configured_snapshots
from modelkin.training import fit, snapshots

with jobs.running_job(snakemake.log[0], f"train {snakemake.wildcards.model}", snakemake.input):
    (dataset,) = snakemake.input
    settings, seed = snakemake.params.training, snakemake.params.seed
    device = jobs.job_device(snakemake.config)
    train, test = (load_images(dataset, name) for name in ("train", "test"))
    # Not among the params: asking for snapshots later must not change the model, nor what was made of it.
    asked = configured_snapshots(snakemake.config, snakemake.wildcards.model)
    recorder = snapshots.SnapshotRecorder(snapshots.left_beside(snakemake.output[0]), asked)

    model, history = fit.train(
        train,
        test,
        settings,
        seed=seeds.derive_seed(seed, "train", snakemake.wildcards.model),
        device=device,
        progress=jobs.Progress(settings["epochs"], "epochs"),
        after_epoch=recorder,
    )
    building.check_fits(model, test, snakemake.wildcards.model)
    recorder.finish(model)
    write_model(
        snakemake.output[0],
        model,
        history,
        stage="train",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[dataset],
        device=precision.describe_device(device),
    )
