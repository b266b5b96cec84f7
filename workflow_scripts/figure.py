"""Draw one figure of the study, or the one figure for each measure."""

from pathlib import Path

from modelkin import artifacts, figures, images, jobs, tables
from modelkin.figures import base

with jobs.running(snakemake.log[0], f"figure {snakemake.params.figure}", snakemake.input):
    figure = figures.get(snakemake.params.figure)
    settings = snakemake.params.settings
    data = {Path(manifest).stem: tables.read(manifest) for manifest in snakemake.input.tables}
    if snakemake.input.images:
        dataset, pairs, *probes = snakemake.input.images
        inverted = dict(zip(snakemake.params.models, map(images.load, probes), strict=True))
        data["images"] = (images.load(dataset, "test"), tables.read(pairs), inverted)

    models = data["models"]

    def save(folder):
        folder.mkdir()
        base.style()
        if figure.per_measure:
            for label in snakemake.params.measures:
                base.save(figure.draw(data, settings, label), folder, label, settings["dpi"], models)
        else:
            base.save(figure.draw(data, settings), folder, snakemake.params.figure, settings["dpi"], models)

    artifacts.write(
        snakemake.output[0],
        save,
        suffix="",
        stage="figures",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[*snakemake.input.tables, *snakemake.input.images],
    )
