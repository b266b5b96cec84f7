"""Say whether every artifact of the study is what its manifest and the config say; exit status 1 if not."""

import json
import sys
from pathlib import Path

from modelkin import jobs, verify

with jobs.running(snakemake.log[0], "verify") as log:
    params = snakemake.params
    found = verify.content(params.folder)
    wanted = {name: verify.Made(**made) for name, made in params.wanted.items()}
    wrong, left_out = verify.whole(found)
    wrong += verify.against(found, wanted)
    text, fine = verify.report(params.study, wrong, len(verify.manifests(found)), left_out)
    Path(params.folder, verify.TOLD).write_text("".join(f"{json.dumps(each)}\n" for each in wrong))
    log.info("%s", text)
    print(text, flush=True)
    if not fine:
        sys.exit(1)
