"""Make one model's adversarial probe: the natural one, changed until the model errs."""

import torch

from modelkin import artifacts, attacks, images, jobs, models, seeds
from modelkin.images import Images

with jobs.running(snakemake.log[0], f"attack {snakemake.wildcards.model}") as log:
    settings, seed = dict(snakemake.params.adversarial), snakemake.params.seed
    device = jobs.device(snakemake.config.get("device", "auto"))
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize).folded()
    probe = images.load(snakemake.input.probe)
    starts = settings.pop("starts")
    descent = attacks.described(**settings)
    generator = torch.Generator(device).manual_seed(seeds.derive(seed, "attack", snakemake.wildcards.model))
    telling = jobs.Progress(len(probe), "images")
    said = []

    def stored():
        for part in probe.blocks(models.batch_rows(model.size, device)):
            x = models.resized(torch.from_numpy(part.floats()).to(device), model.size, model.resize)
            y = torch.from_numpy(part.labels).to(device)
            near = attacks.untargeted(model, x, y, descent, starts=starts, generator=generator)
            said.append(attacks.outcome(model, x, near, y, settings["norm"]))
            telling(sum(map(len, said)))
            made = Images(near.cpu().numpy(), part.labels, part.ids, part.classes)
            yield made.to_dataset().assign({name: ("sample", said[-1][name]) for name in said[-1]})

    artifacts.write(
        snakemake.output[0],
        lambda path: images.save_blocks(stored(), path),
        stage="attack",
        version=snakemake.params.version,
        settings={
            "adversarial": snakemake.params.adversarial,
            "resize": snakemake.params.resize,
            "seed": seed,
        },
        inputs=[snakemake.input.model, snakemake.input.probe],
        facts=lambda: attacks.facts(said),
        device=device.type,
    )
    found = attacks.facts(said)
    log.info("%s", found)
    if found["success"] < 0.9:
        log.warning("the attack fools its own model on %.0f %% of the images only", 100 * found["success"])
