"""Make one model's adversarial probe: the natural one, changed until the model errs."""

from modelkin import jobs, precision, seeds
from modelkin.data.images import load_images
from modelkin.optimise.adversarial_probe import attack_parts, probe_facts
from modelkin.optimise.attacks import from_settings
from modelkin.store.resumable import Part, write_in_parts

name = f"{snakemake.wildcards.model}{snakemake.wildcards.attack}"
with jobs.running_job(snakemake.log[0], f"attack {name}", snakemake.input) as log:
    settings, seed = dict(snakemake.params.adversarial), snakemake.params.seed
    # A label is among the names from which an attack's seed derives; a study's only attack has none.
    label = [snakemake.wildcards.attack.removeprefix(".")] if snakemake.wildcards.attack else []
    device = jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, snakemake.params.resize
    ).folded()
    probe = load_images(snakemake.input.probe)
    stored = settings.pop("stored")

    def attack(number):
        drawn = seeds.derive_seed(seed, "attack", *label, snakemake.wildcards.model, str(number))
        return from_settings(**settings, seed=drawn, device=device)

    parts = attack_parts(model, probe, attack, threat=settings["norm"], stored=stored, device=device)
    progress, reports = jobs.Progress(len(probe), "images"), []

    def look(chunk):
        reports.append(chunk.drop_vars(["image", "label"]))
        progress(sum(report.sizes["sample"] for report in reports))

    made = write_in_parts(
        snakemake.output[0],
        (
            Part(lambda attacked=attacked: [attacked()], name=f"part {number}")
            for number, attacked in enumerate(parts, start=1)
        ),
        look=look,
        facts=lambda: probe_facts(reports),
        stage="attack",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        device=precision.describe_device(device),
    )
    found = made["facts"]
    log.info("%s", found)
    if found["success"] is None:
        log.warning("the model is right on none of the images, so no attack on it says anything")
    elif found["success"] < 0.9:
        log.warning("the attack fools its own model on %.0f %% of the images only", 100 * found["success"])
    if found["lost"]:
        log.warning("%d images fooled the model until they were rounded to %s", found["lost"], stored)
