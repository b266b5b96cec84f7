"""What a new model's own adversarial images say of its similarity to the others, and how wrong that is."""

from modelkin import jobs
from modelkin.analysis.sat_shortcut import joined_attacks, shortcut_models, shortcut_pairs
from modelkin.comparison.recorded import Recorded, transfer
from modelkin.store import frames, manifests, paths

with jobs.running_job(snakemake.log[0], "sat_shortcut", snakemake.input) as log:
    params = snakemake.params
    read = Recorded(paths.study_folder(snakemake.config["study"]), params.order)
    rows, models = {}, {}
    for kind, probes in paths.by_kind(snakemake.input.attacks).items():
        rows[kind] = shortcut_pairs(*transfer(read, params.models, kind))
        success = {name: found["success"] for name, found in manifests.facts(probes).items()}
        models[kind] = shortcut_models(rows[kind], success)
        log.info("%s: mean absolute error %.3f", kind, models[kind]["mean_absolute_error"].mean())
    frames.write_all(
        snakemake.output,
        {"sat_shortcut": joined_attacks(rows), "sat_shortcut_models": joined_attacks(models)},
        stage="sat_shortcut",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
