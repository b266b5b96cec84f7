"""Draw one figure of the study, or the one figure for each measure."""

from functools import partial
from pathlib import Path

from modelkin import figures, jobs
from modelkin.data.images import load_images
from modelkin.figures import base
from modelkin.store import frames, manifests

with jobs.running_job(snakemake.log[0], f"figure {snakemake.params.figure}", snakemake.input):
    figure = figures.get(snakemake.params.figure)
    settings = snakemake.params.settings
    # A page shows texts as they are.
    texts = (lambda table: table) if figure.as_table else base.as_plain_text
    data = {Path(manifest).stem: texts(frames.read(manifest)) for manifest in snakemake.input.tables}
    if snakemake.input.images:
        dataset, pairs, *probes = snakemake.input.images
        inverted = dict(zip(snakemake.params.models, map(load_images, probes), strict=True))
        data["images"] = (load_images(dataset, "test"), frames.read(pairs), inverted)
    if snakemake.input.attacked:
        natural, *probes = map(load_images, snakemake.input.attacked)
        attacked = dict(zip(settings["attacks"], probes, strict=True))
        data["attacked"] = (natural, snakemake.params.models[0], attacked)
    if snakemake.input.stitched:
        manifests_of = list(snakemake.input.stitched)
        named = settings["datasets"]
        tasks = dict(zip(named, (load_images(each, "test") for each in manifests_of), strict=False))
        made = {Path(each).stem: each for each in manifests_of[len(named) :]}
        data["stitched"] = (tasks, {label: partial(load_images, each) for label, each in made.items()})

    models = data["models"]

    def save(folder):
        folder.mkdir()
        base.style()
        if figure.per_measure:
            for label in snakemake.params.measures:
                drawn = base.draw_measure(figure, data, settings, label)
                base.save(drawn, folder, label, settings["dpi"], models)
        else:
            base.save(
                base.draw_study(figure, data, settings),
                folder,
                snakemake.params.figure,
                settings["dpi"],
                models,
            )

    manifests.write(
        snakemake.output[0],
        save,
        suffix="",
        stage="figures",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[
            *snakemake.input.tables,
            *snakemake.input.images,
            *snakemake.input.attacked,
            *snakemake.input.stitched,
        ],
    )
