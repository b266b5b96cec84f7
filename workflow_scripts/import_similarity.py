"""Take in a table of similarities that somebody else made."""

from modelkin import imported, jobs, tables
from modelkin.errors import ModelkinError

with jobs.running(snakemake.log[0], f"import {snakemake.wildcards.name}", snakemake.input) as log:
    params = snakemake.params
    if not snakemake.input:
        raise ModelkinError("the imported table was taken in for other models; put its file back.")
    (path,) = snakemake.input
    if imported.digest(path) != params.entry["sha256"]:
        raise ModelkinError(f"{path} changed while the run was planned; run again.")
    values = imported.read(path, params.models)
    log.info("%d models of %s", len(params.models), path)
    tables.write(
        snakemake.output[0],
        imported.table(values, params.models, params.entry["measure"], snakemake.wildcards.name),
        stage="imported",
        version=params.version,
        settings=jobs.settings(params),
    )
