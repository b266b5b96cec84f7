"""One shell of heads on others' representations: this model with those before it, in both directions."""

from pathlib import Path

import pandas as pd

from modelkin import jobs, precision
from modelkin.comparison.recorded import Run, stored_at
from modelkin.operations.stages.columns import COLUMNS
from modelkin.stitching.agreement import Computed, check_head, head_of, row_or_note
from modelkin.stitching.retraining import Shown, retrained_columns
from modelkin.store import arrays, frames, manifests

newest = snakemake.wildcards.model
with jobs.running_job(snakemake.log[0], f"heads {newest}", snakemake.input) as log:
    params, given = snakemake.params, snakemake.input
    device, names = jobs.job_device(snakemake.config), [*params.others, newest]
    trained, natural, models = (
        dict(zip(names, paths, strict=True)) for paths in (given.trained, given.natural, given.models)
    )

    shells = dict(zip(names, given.inverted, strict=True)) if given.inverted else {}

    def computed(name):
        train, test = (arrays.open_dataset(manifests.store_of(paths[name])) for paths in (trained, natural))
        answers = test["logits"].to_numpy().argmax(1)
        arrays_of = (each["representation"].to_numpy() for each in (train, test))
        return Computed(*arrays_of, answers), test["label"].to_numpy()

    def answering(name, own):
        head = head_of(jobs.load_configured_model(snakemake.config, models[name], device, params.resize))
        return head, check_head(head, own, name, device)

    def seen(observer, source):
        """What a model computes of another's inverted images, and the classes of their targets."""
        manifest, group = stored_at(Run("inverted", source, observer), names)
        data = arrays.open_dataset(manifests.store_of(shells[Path(manifest).stem]), group)
        return data["representation"].to_numpy(), data["label"].to_numpy()

    def retrained(body, head, of, labels):
        """Columns of both models with last layers that are trained anew; nothing if none are asked for."""
        if not shells:
            return {}
        (its, _), (own, targets) = seen(body, head), seen(head, head)
        trained_on = arrays.open_dataset(manifests.store_of(trained[head]))["label"].to_numpy()
        return retrained_columns(
            Shown(its, own, targets),
            Shown(of[body].train, of[head].train, trained_on),
            Shown(of[body].test, of[head].test, labels),
            (of[body].answers, of[head].answers),
        )

    rows, progress = [], jobs.Progress(len(params.others), "models")
    if params.others:
        own, labels = computed(newest)
        own_head = answering(newest, own)
    for number, other in enumerate(params.others, start=1):
        its, _ = computed(other)
        for body, head, name, (answer, why) in (
            (its, own, (other, newest), own_head),
            (own, its, (newest, other), answering(other, its)),
        ):
            found = {"note": why} if why else row_or_note(body, head, answer, labels, device)
            found |= retrained(*name, {other: its, newest: own}, labels)
            rows.append(dict(zip(("body", "head"), name, strict=True)) | found)
            if found["note"]:
                log.warning("%s to %s: %s", *name, found["note"])
        progress(number)
    frames.write(
        snakemake.output[0],
        pd.DataFrame(rows, columns=list(COLUMNS["stitching_agreement"])),
        stage="stitched_heads",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(given),
        device=precision.describe_device(device),
    )
