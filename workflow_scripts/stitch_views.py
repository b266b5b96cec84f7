"""Invert images through the models stitched of one pair, and put their representations in the plane."""

from pathlib import Path

from modelkin import jobs, precision, seeds
from modelkin.data import probes
from modelkin.data.images import load_images
from modelkin.optimise import inversion
from modelkin.stitching import pair, settings, views
from modelkin.stitching.stitched import halves
from modelkin.store import arrays, frames, manifests
from modelkin.store.resumable import Part, write_in_parts

label = snakemake.wildcards.pair
with jobs.running_job(snakemake.log[0], f"stitch views {label}", snakemake.input) as log:
    params, section = snakemake.params, dict(snakemake.params.stitching)
    device = jobs.job_device(snakemake.config)
    manifests_of = list(snakemake.input.models)
    front, end = (
        halves(jobs.load_configured_model(snakemake.config, each, device, params.resize))
        for each in manifests_of
    )
    names = dict(zip(("front", "end"), (Path(each).stem for each in manifests_of), strict=True))
    about = {
        "stage": "stitch_views",
        "version": params.version,
        "settings": jobs.manifest_settings(params),
        "inputs": [snakemake.input.dataset, *manifests_of],
        "device": precision.describe_device(device),
    }
    stitched = pair.Pair(
        front,
        end,
        load_images(snakemake.input.dataset, "train").spread(section["train_images"]),
        load_images(snakemake.input.dataset, "test").spread(section["test_images"]),
        section,
        seeds.derive_seed(params.seed, "stitch", label),
        device,
    )
    models = views.matched_models(stitched)
    outputs = {Path(each).parent.name: each for each in snakemake.output}
    asked = settings.views(section)
    if "inversions" in asked:
        chosen = probes.seed_target_pairs(
            stitched.test, section["inversions"], seeds.generator(params.seed, "stitched inversions")
        )
        how = dict(params.inversion)
        batch_size, mode = (how.pop(key) for key in ("batch_size", "mode"))
        shown = views.inverted_views(stitched, models)
        progress = jobs.Progress(len(shown), "models")

        def computed(number, model):
            found = views.inverted(
                model,
                stitched.test,
                chosen,
                inversion.MODES[mode](**how),
                batch_size=batch_size,
                device=device,
                progress=lambda *_: None,
            )
            progress(number)
            return [found]

        write_in_parts(
            outputs["inverted"],
            [
                Part(lambda of=(number, model): computed(*of), group=view, name=view)
                for number, (view, model) in enumerate(shown.items(), start=1)
            ],
            **about,
        )
        store = manifests.store_of(outputs["inverted"])
        rows = views.inversion_rows(stitched, {view: arrays.open_dataset(store, view) for view in shown})
        rows = rows.merge(chosen[["sample", "seed", "target"]], on="sample", how="left")
        frames.write(outputs["inversions"], rows.assign(**names), **about)
    if "t_sne" in asked:
        few = stitched._replace(test=stitched.test.spread(section["t_sne"]))
        frames.write(outputs["t_sne"], views.t_sne_rows(few, models).assign(**names), **about)
