"""Say whether every artifact of the study is what its manifest and the config say; exit status 1 if not."""

import json
import sys
from pathlib import Path

from modelkin import jobs
from modelkin.operations import verify

with jobs.running_job(snakemake.log[0], "verify") as log:
    params = snakemake.params
    found = verify.folder_content(params.folder)
    wanted = {name: verify.Wanted(**made) for name, made in params.wanted.items()}
    wrong, left_out = verify.check_integrity(found)
    wrong += verify.check_against_config(found, wanted)
    text, fine = verify.verification_report(params.study, wrong, len(verify.manifests(found)), left_out)
    Path(params.folder, verify.TOLD).write_text("".join(f"{json.dumps(each)}\n" for each in wrong))
    log.info("%s", text)
    print(text, flush=True)
    if not fine:
        sys.exit(1)
