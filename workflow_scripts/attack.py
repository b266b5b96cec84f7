"""Make one model's adversarial probe: the natural one, changed until the model errs."""

from modelkin import artifacts, attacks, computing, images, jobs, models, seeds

with jobs.running(snakemake.log[0], f"attack {snakemake.wildcards.model}") as log:
    settings, seed = dict(snakemake.params.adversarial), snakemake.params.seed
    device = jobs.device(snakemake.config)
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize).folded()
    probe = images.load(snakemake.input.probe)
    form = settings.pop("stored")
    seed = seeds.derive(seed, "attack", snakemake.wildcards.model)
    attack = attacks.described(**settings, seed=seed, device=device)
    telling = jobs.Progress(len(probe), "images")
    said = []

    def stored():
        for part in attacks.parts(model, probe, attack, norm=settings["norm"], stored=form, device=device):
            said.append(part.drop_vars(["image", "label"]))
            telling(sum(rows.sizes["sample"] for rows in said))
            yield part

    made = artifacts.write(
        snakemake.output[0],
        lambda path: images.save_blocks(stored(), path),
        stage="attack",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        facts=lambda: attacks.facts(said),
        device=computing.named(device),
    )
    found = made["facts"]
    log.info("%s", found)
    if found["success"] is None:
        log.warning("the model is right on none of the images, so no attack on it says anything")
    elif found["success"] < 0.9:
        log.warning("the attack fools its own model on %.0f %% of the images only", 100 * found["success"])
    if found["lost"]:
        log.warning("%d images fooled the model until they were rounded to %s", found["lost"], form)
