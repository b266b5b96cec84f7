# The answer in words, and every number on one page: results/<study>/explorer.html.
EXPLORER = f"{RESULTS}/explorer.json"


rule explorer:
    input:
        tables=tables(stages.study_tables(study)),
        images=[DATASET, PAIRS, NATURAL] if study.active_compared else [],
        inverted=expand(
            f"{RESULTS}/probes/inverted/{{model}}.json", model=study.active_compared
        ),
        attacks=expand(
            f"{RESULTS}/{{what}}/{{model}}.json",
            what=ATTACKED,
            model=study.active_compared,
        ),
        activations=expand(
            f"{RESULTS}/activations/natural/{{model}}.json",
            model=study.active_compared,
        ),
    output:
        EXPLORER,
        report(
            f"{RESULTS}/explorer.html",
            caption="../report/explorer.rst",
            category="00 The answer",
            labels={
                "figure": "Explorer: the answer in words, every number to explore"
            },
        ),
    log:
        f"{RESULTS}/logs/explorer.log",
    benchmark:
        f"{RESULTS}/benchmarks/explorer.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("explorer"),
    params:
        study=study.name,
        models=study.active_compared,
        version=version("explorer"),
    script:
        "../workflow_scripts/explorer.py"
