"""Say whether every artifact of the study is what its manifest and the config say; exit status 1 if not."""

import sys

from modelkin import jobs, verify

with jobs.running(snakemake.log[0], "verify") as log:
    params = snakemake.params
    found = verify.content(params.folder)
    wanted = {name: verify.Made(**made) for name, made in params.wanted.items()}
    wrong, left_out = verify.whole(found)
    text, fine = verify.report(
        params.study, [*wrong, *verify.against(found, wanted)], len(verify.manifests(found)), left_out
    )
    log.info("%s", text)
    print(text, flush=True)
    if not fine:
        sys.exit(1)
