"""Keep one model's weights along its training: those that its training left, or else by training it again."""

from pathlib import Path

from modelkin import jobs, precision, seeds
from modelkin.data.images import load_images
from modelkin.errors import ModelkinError
from modelkin.store import manifests
from modelkin.store.disk import remove_path
from modelkin.training import fit, snapshots

name = snakemake.wildcards.model
with jobs.running_job(snakemake.log[0], f"snapshots {name}", snakemake.input) as log:
    settings, epochs, model = snakemake.params.training, snakemake.params.epochs, snakemake.input.model
    device = jobs.job_device(snakemake.config)
    made = manifests.read(model)
    # What an earlier run of this job kept may hold all that is asked for now.
    left, earlier = snapshots.left_beside(model), Path(snakemake.output[0]).with_suffix("")
    found = [
        folder for folder in (left, earlier) if snapshots.holds(folder, epochs, made["facts"]["weights"])
    ]
    again = (
        f"delete {model} and run again, which makes it anew with its snapshots and all that follows from it."
    )
    if not found:
        if made.get("device") != precision.describe_device(device):
            raise ModelkinError(
                f"'{name}' was trained on {made.get('device')} and cannot come out the same on "
                f"{precision.describe_device(device)}; run this there, or {again}"
            )
        log.info("training '%s' again, because its training left no snapshots of these epochs", name)
        recorder = snapshots.SnapshotRecorder(left, epochs)
        trained, _ = fit.train(
            *(load_images(snakemake.input.dataset, split) for split in ("train", "test")),
            settings,
            seed=seeds.derive_seed(snakemake.params.seed, "train", name),
            device=device,
            progress=jobs.Progress(settings["epochs"], "epochs"),
            after_epoch=recorder,
        )
        recorder.finish(trained)
        if not snapshots.holds(left, epochs, made["facts"]["weights"]):
            remove_path(left)
            raise ModelkinError(
                f"'{name}' came out otherwise when it was trained again, so these are not its snapshots: "
                f"training does not repeat itself on every device and by every version of torch; {again}"
            )
        found = [left]
    snapshots.write_snapshots(
        snakemake.output[0],
        found[0],
        epochs,
        model,
        stage="snapshots",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.dataset, model],
        device=made.get("device"),
    )
    remove_path(left)
