"""Make the page on which a study is explored."""

from pathlib import Path

from modelkin import explorer, jobs
from modelkin.analysis import measure_agreement
from modelkin.data.images import load_images
from modelkin.explorer import derived, pictures
from modelkin.store import arrays, frames, manifests, paths


def by_model(found):
    """The stores of these manifests, opened, by model."""
    return {
        name: arrays.open_dataset(manifests.store_of(manifest))
        for name, manifest in zip(snakemake.params.models, found, strict=True)
    }


with jobs.running_job(snakemake.log[0], "explorer", snakemake.input) as log:
    params, given = snakemake.params, snakemake.input
    tables = {Path(manifest).stem: frames.read(manifest) for manifest in given.tables}
    tables = derived.with_derived(tables)
    shown = {}
    if given.images:
        dataset, pairs, probe = given.images
        natural = load_images(probe)
        inverted, computed = by_model(given.inverted), by_model(given.activations)
        adversarial = {kind: by_model(found) for kind, found in paths.by_kind(given.attacks).items()}
        answers = pictures.gather_predictions(
            natural, {name: each["logits"].to_numpy() for name, each in computed.items()}
        )
        shown = {
            "predictions": answers,
            "pictures": pictures.gather_pictures(
                load_images(dataset, "test"),
                frames.read(pairs),
                natural,
                inverted,
                adversarial,
                answers.shown,
            ),
        }
    orders = measure_agreement.dendrogram_orders(tables["similarity"], derived.directions(tables))
    text = explorer.page(params.study, tables, orders=orders, **shown)
    log.info("%.1f MB", len(text.encode()) / 1e6)
    manifests.write(
        snakemake.output[0],
        lambda path: path.write_text(text, "utf-8"),
        suffix=".html",
        stage="explorer",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(given),
    )
