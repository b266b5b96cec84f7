"""Take in a table of similarities that somebody else made."""

from modelkin import jobs
from modelkin.errors import ModelkinError
from modelkin.store import frames
from modelkin.study.imported import imported_digest, imported_table, read_imported

with jobs.running_job(snakemake.log[0], f"import {snakemake.wildcards.name}") as log:
    params = snakemake.params
    name = snakemake.wildcards.name
    path = next(entry["file"] for entry in snakemake.config["imported"] if entry["label"] == name)
    values = read_imported(path, params.models)
    if imported_digest(path) != params.entry["sha256"]:
        raise ModelkinError(f"{path} has changed since the run began; run again.")
    log.info("%d models of %s", len(params.models), path)
    frames.write(
        snakemake.output[0],
        imported_table(values, params.models, params.entry["measure"], name),
        stage="imported",
        version=params.version,
        settings=jobs.manifest_settings(params),
    )
