"""Take in a table of similarities that somebody else made."""

from modelkin import imported, jobs, tables
from modelkin.errors import ModelkinError

with jobs.running(snakemake.log[0], f"import {snakemake.wildcards.name}") as log:
    params = snakemake.params
    name = snakemake.wildcards.name
    path = next(entry["file"] for entry in snakemake.config["imported"] if entry["label"] == name)
    values = imported.read(path, params.models)
    if imported.digest(path) != params.entry["sha256"]:
        raise ModelkinError(f"{path} has changed since the run began; run again.")
    log.info("%d models of %s", len(params.models), path)
    tables.write(
        snakemake.output[0],
        imported.table(values, params.models, params.entry["measure"], name),
        stage="imported",
        version=params.version,
        settings=jobs.settings(params),
    )
