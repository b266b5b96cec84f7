"""Make one model's adversarial probe: the natural one, changed until the model errs."""

import torch

from modelkin import artifacts, attacks, computing, images, jobs, models, seeds

with jobs.running(snakemake.log[0], f"attack {snakemake.wildcards.model}", snakemake.input) as log:
    settings, seed = dict(snakemake.params.adversarial), snakemake.params.seed
    device = jobs.device(snakemake.config)
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize).folded()
    probe = images.load(snakemake.input.probe)
    generator = torch.Generator(device).manual_seed(seeds.derive(seed, "attack", snakemake.wildcards.model))
    starts = settings.pop("starts")
    attack = attacks.described(**settings)
    telling = jobs.Progress(len(probe), "images")
    said = []

    def stored():
        for part in attacks.parts(model, probe, attack, starts=starts, generator=generator, device=device):
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
    log.info("%s", made["facts"])
    if made["facts"]["success"] < 0.9:
        log.warning(
            "the attack fools its own model on %.0f %% of the images only", 100 * made["facts"]["success"]
        )
