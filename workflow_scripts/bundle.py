"""The whole study as one file, to be unpacked elsewhere."""

from modelkin import jobs
from modelkin.operations import bundle, verify

with jobs.running_job(snakemake.log[0], "bundle") as log:
    params = snakemake.params
    listed = bundle.pack(
        snakemake.output[0],
        params.folder,
        params.config,
        {name: verify.Wanted(**made) for name, made in params.wanted.items()},
        **params.options,
    )
    log.info("%d files, %d stores left out", len(listed["files"]), len(listed["left_out"]))
