"""Make one model's adversarial probe: the natural one, changed until the model errs."""

from modelkin import jobs, precision, seeds
from modelkin.data.images import load_images
from modelkin.optimise.adversarial_probe import attack_in_parts, probe_facts
from modelkin.optimise.attacks import from_settings
from modelkin.store import arrays, manifests
from modelkin.store.resumable import ResumableParts

with jobs.running_job(snakemake.log[0], f"attack {snakemake.wildcards.model}", snakemake.input) as log:
    settings, seed = dict(snakemake.params.adversarial), snakemake.params.seed
    device = jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, snakemake.params.resize
    ).folded()
    probe = load_images(snakemake.input.probe)
    form = settings.pop("stored")
    about = {
        "stage": "attack",
        "version": snakemake.params.version,
        "settings": jobs.manifest_settings(snakemake.params),
        "inputs": [snakemake.input.model, snakemake.input.probe],
        "device": precision.describe_device(device),
    }
    kept = ResumableParts(snakemake.output[0], **about)
    telling = jobs.Progress(len(probe), "images")

    def attack(part):
        drawn = seeds.derive_seed(seed, "attack", snakemake.wildcards.model, str(part))
        return from_settings(**settings, seed=drawn, device=device)

    parts = attack_in_parts(
        model, probe, attack, norm=settings["norm"], stored=form, device=device, finished=kept
    )
    said = []

    def stored():
        for number, part in enumerate(parts):
            if part is None:
                log.info("part %d is there from an earlier start", number + 1)
            else:
                kept.keep(number, lambda path, part=part: arrays.write(part, path))
            data = arrays.open_dataset(kept.path(number))
            said.append(data.drop_vars(["image", "label"]).load())
            telling(sum(rows.sizes["sample"] for rows in said))
            yield data

    made = manifests.write(
        snakemake.output[0],
        lambda path: arrays.write_chunks(stored(), path),
        facts=lambda: probe_facts(said),
        **about,
    )
    kept.drop()
    found = made["facts"]
    log.info("%s", found)
    if found["success"] is None:
        log.warning("the model is right on none of the images, so no attack on it says anything")
    elif found["success"] < 0.9:
        log.warning("the attack fools its own model on %.0f %% of the images only", 100 * found["success"])
    if found["lost"]:
        log.warning("%d images fooled the model until they were rounded to %s", found["lost"], form)
