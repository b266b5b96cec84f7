"""What a new model's own adversarial images say of its similarity to the others, and how wrong that is."""

from modelkin import jobs
from modelkin.analysis.sat_shortcut import shortcut_models, shortcut_pairs
from modelkin.comparison.recorded import Recorded, transfer
from modelkin.store import frames, manifests, paths

with jobs.running_job(snakemake.log[0], "sat_shortcut", snakemake.input) as log:
    params = snakemake.params
    read = Recorded(paths.study_folder(snakemake.config["study"]), params.order)
    right, fooled = transfer(read, params.models)
    attacks = manifests.facts(snakemake.input.attacks)
    rows = shortcut_pairs(right, fooled)
    models = shortcut_models(rows, {name: found["success"] for name, found in attacks.items()})
    log.info("mean absolute error %.3f", models["mean_absolute_error"].mean())
    frames.write_all(
        snakemake.output,
        {"sat_shortcut": rows, "sat_shortcut_models": models},
        stage="sat_shortcut",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
