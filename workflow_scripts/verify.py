"""Say whether every artifact of the study is what its manifest and the config say; exit status 1 if not."""

import json
from pathlib import Path

from modelkin import jobs
from modelkin.errors import ModelkinError
from modelkin.operations import changed_inputs, mixed_devices, verify

with jobs.running_job(snakemake.log[0], "verify") as log:
    params = snakemake.params
    found = verify.folder_content(params.folder)
    wanted = {name: verify.Wanted(**made) for name, made in params.wanted.items()}
    wrong, left_out = verify.check_integrity(found)
    wrong += verify.check_against_config(found, wanted)
    made = verify.manifests(found)
    for manifest, path, _ in changed_inputs.changed_files(params.outside, made.get):
        resting = len(changed_inputs.resting_on(manifest, made))
        why = f"{path}, of which it was made, changed since, and {resting} artifacts rest on it"
        wrong.append(verify.Finding(manifest, "stale", why))
    text, fine = verify.verification_report(params.study, wrong, len(made), left_out)
    if unknown := changed_inputs.unrecorded(params.outside, made.get):
        text += (
            f"\n{len(unknown)} artifacts, first {unknown[0]}, do not tell of which files outside they "
            "were made, as artifacts of earlier versions do not; whether these changed is not known."
        )
    if mixed := mixed_devices.beside_each_other(made):
        text += f"\n{mixed_devices.beside_sentence(mixed)}"
    Path(params.folder, verify.TOLD).write_text("".join(f"{json.dumps(each)}\n" for each in wrong))
    log.info("%s", text)
    print(text, flush=True)
    if not fine:
        raise ModelkinError(f"{params.study} is not whole: what was found stands above, with what to do.")
