"""What a new model's own adversarial images say of its similarity to the others, and how wrong that is."""

from pathlib import Path

from modelkin import jobs, probe_kinds
from modelkin.analysis.sat_shortcut import joined_attacks, shortcut_models, shortcut_pairs
from modelkin.comparison.recorded import reader, transfer
from modelkin.store import frames, manifests

with jobs.running_job(snakemake.log[0], "sat_shortcut", snakemake.input) as log:
    params = snakemake.params
    read = reader(Path(snakemake.input.natural[0]).parents[2], params.order)
    probes_by_kind = probe_kinds.by_kind(snakemake.input.attacks)
    attacks = {kind: manifests.facts(made) for kind, made in probes_by_kind.items()}
    rows, models = {}, {}
    for kind, probes in attacks.items():
        rows[kind] = shortcut_pairs(*transfer(read, params.models, kind))
        success = {name: found["success"] for name, found in probes.items()}
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
