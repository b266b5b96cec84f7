"""Say beside the tables what their columns and measures mean."""

from pathlib import Path

from modelkin import artifacts, dictionary, jobs, tables

with jobs.running(snakemake.log[0], "dictionary"):
    params = snakemake.params
    chosen = dictionary.measured(params.measures)
    described = dictionary.columns(params.tables)
    text = dictionary.page(params.study, described, chosen)
    about = {"stage": "dictionary", "version": params.version, "settings": jobs.settings(params)}
    tables.write_all(
        [snakemake.output.columns, snakemake.output.measures],
        {"dictionary": described, "measures": chosen},
        **about,
    )
    artifacts.write(
        snakemake.output.page, lambda path: Path(path).write_text(text, "utf-8"), suffix=".md", **about
    )
