"""Make one model's adversarial probe: the natural one, changed until the model errs."""

from modelkin import artifacts, attacks, computing, images, jobs, models, seeds

with jobs.running(snakemake.log[0], f"attack {snakemake.wildcards.model}", snakemake.input) as log:
    settings, seed = dict(snakemake.params.adversarial), snakemake.params.seed
    device = jobs.device(snakemake.config)
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize).folded()
    probe = images.load(snakemake.input.probe)
    form = settings.pop("stored")
    about = {
        "stage": "attack",
        "version": snakemake.params.version,
        "settings": jobs.settings(snakemake.params),
        "inputs": [snakemake.input.model, snakemake.input.probe],
        "device": computing.named(device),
    }
    kept = artifacts.Parts(snakemake.output[0], **about)
    telling = jobs.Progress(len(probe), "images")

    def attack(part):
        drawn = seeds.derive(seed, "attack", snakemake.wildcards.model, str(part))
        return attacks.described(**settings, seed=drawn, device=device)

    parts = attacks.parts(
        model, probe, attack, norm=settings["norm"], stored=form, device=device, finished=kept
    )
    said = []

    def stored():
        for number, part in enumerate(parts):
            if part is None:
                log.info("part %d is there from an earlier start", number + 1)
            else:
                kept.keep(number, lambda path, part=part: images.save(part, path))
            data = images.open_(kept.path(number))
            said.append(data.drop_vars(["image", "label"]).load())
            telling(sum(rows.sizes["sample"] for rows in said))
            yield data

    made = artifacts.write(
        snakemake.output[0],
        lambda path: images.save_blocks(stored(), path),
        facts=lambda: attacks.facts(said),
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
