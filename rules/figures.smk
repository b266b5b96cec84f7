# One rule for each module in modelkin/figures; a figure redraws only when a setting that it uses changes.
MADE_OF_IMAGES = [
    DATASET,
    PAIRS,
    *expand(f"{RESULTS}/probes/inverted/{{model}}.json", model=study.active_compared),
]
# Of the first model alone, which attacks are shown on.
MADE_OF_ATTACKED = [
    NATURAL,
    *(
        f"{RESULTS}/probes/{probe_kinds.folder_of(kind)}/{study.active_compared[0]}.json"
        for kind in study.attacks
        if study.active_compared
    ),
]
# Of stitched models: each pair's images.
MADE_OF_STITCHED = [
    f"{RESULTS}/stitches/inverted/{pair}.json" for pair in study.stitched_pairs
]
# Two digits, for the report sorts them as text.
SECTIONS = {
    "models": "01 Models",
    "inversion": "02 Inversion",
    "levels": "03 Similarity by level",
    "pairs": "04 Similarity of every pair",
    "clusters": "05 Clusters",
    "components": "06 What makes models alike",
    "ensembles": "07 Ensembles",
    "distillation": "08 Distillation and advice",
    "layers": "09 Layer by layer",
    "stitching": "10 Stitching",
}


POSSIBLE_FIGURES = {name: figures.get(name) for name in stages.possible_figures(study)}
FIGURES = expand(f"{RESULTS}/figures/{{figure}}.json", figure=POSSIBLE_FIGURES)


def shown(name, figure):
    """What the report shows of a figure, by stem: the whole study, or each measure."""
    stems = study.labels if figure.per_measure else [name]
    return {stem: f"{RESULTS}/figures/{name}/{stem}{figure.suffix}" for stem in stems}


# Asked for by name, for Snakemake does not see that a rule's version has changed if the names of its outputs have as
# well, as when tables were pictures.
PAGES = [
    page
    for name, figure in POSSIBLE_FIGURES.items()
    if figure.as_table
    for page in shown(name, figure).values()
]

for name, figure in POSSIBLE_FIGURES.items():

    rule:
        name:
            f"figure_{name}"
        input:
            # The models always, for those at chance level are flagged in every figure.
            tables=tables(
                dict.fromkeys(["models", *figure.tables]).keys()
                - {"images", "attacked", "stitched"}
            ),
            images=MADE_OF_IMAGES if "images" in figure.tables else [],
            attacked=MADE_OF_ATTACKED if "attacked" in figure.tables else [],
            stitched=(
                [*DATASETS, *MADE_OF_STITCHED] if "stitched" in figure.tables else []
            ),
        output:
            f"{RESULTS}/figures/{name}.json",
            [
                report(
                    path,
                    caption=f"../report/{name}.rst",
                    category=SECTIONS[figure.section],
                    labels={
                        "figure": figure.title,
                        "measure": (
                            stem if figure.per_measure else figure.measure or "all"
                        ),
                    },
                )
                for stem, path in shown(name, figure).items()
            ],
        log:
            f"{RESULTS}/logs/figures/{name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/figures/{name}.tsv"
        # Seconds each: shorter than a batch system takes to start a job.
        localrule: True
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("figures"),
        params:
            figure=name,
            models=study.active_compared,
            measures=study.labels,
            settings={
                key: study.section("figures")[key] for key in (*figure.settings, "dpi")
            }
            | ({"attacks": study.attacks} if "attacked" in figure.tables else {})
            | ({"datasets": study.datasets} if "stitched" in figure.tables else {}),
            version=version("figures"),
        script:
            "../workflow_scripts/figure.py"
