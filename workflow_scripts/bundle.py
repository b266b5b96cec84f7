"""The whole study as one file, to be unpacked elsewhere."""

from modelkin import bundle, jobs, verify

with jobs.running(snakemake.log[0], "bundle") as log:
    params = snakemake.params
    listed = bundle.pack(
        snakemake.output[0],
        params.folder,
        params.config,
        {name: verify.Made(**made) for name, made in params.wanted.items()},
        **params.options,
    )
    log.info("%d files, %d stores left out", len(listed["files"]), len(listed["left_out"]))
