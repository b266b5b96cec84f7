"""Say beside the tables what their columns and measures mean."""

from pathlib import Path

from modelkin import jobs
from modelkin.operations.data_dictionary import dictionary_columns, dictionary_measures, dictionary_page
from modelkin.store import frames, manifests

with jobs.running_job(snakemake.log[0], "dictionary"):
    params = snakemake.params
    chosen = dictionary_measures(params.measures)
    described = dictionary_columns(
        params.tables,
        params.get("attacks", ()),
        several_norms=bool(params.get("norms")),
        rescue=params.get("rescue", False),
    )
    text = dictionary_page(params.study, described, chosen)
    about = {"stage": "dictionary", "version": params.version, "settings": jobs.manifest_settings(params)}
    frames.write_all(
        [snakemake.output.columns, snakemake.output.measures],
        {"dictionary": described, "measures": chosen},
        **about,
    )
    manifests.write(
        snakemake.output.page, lambda path: Path(path).write_text(text, "utf-8"), suffix=".md", **about
    )
