# Every pair that a model completes, by every measure. Parts that are already there for a measure are
# used again, so a new measure computes itself alone.
SIMILARITY = expand(f"{RESULTS}/similarity/{{model}}.json", model=study.compared)


rule similarity:
    input:
        boundaries=lambda wildcards: expand(
            f"{RESULTS}/boundaries/{{model}}.json",
            model=study.through(wildcards.model) if study.boundaries else [],
        ),
        activations=lambda wildcards: expand(
            f"{RESULTS}/activations/{{kind}}/{{model}}.json",
            kind=map(probe_kinds.folder_of, study.kinds),
            model=study.through(wildcards.model),
        ),
    output:
        f"{RESULTS}/similarity/{{model}}.json",
    log:
        f"{RESULTS}/logs/similarity/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/similarity/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("similarity"),
    params:
        **study.products,
        models=lambda wildcards: study.through(wildcards.model),
        dataset=study.dataset,
        kinds=study.kinds,
        measures=measure_params,
        permutations=study.section("chance")["permutations"],
        seed=study.seed,
        version=version("similarity"),
    script:
        "../workflow_scripts/similarity.py"


# Similarities that others measured, as further measures.
IMPORTED = expand(
    f"{RESULTS}/imported/{{name}}.json",
    name=[entry["label"] for entry in study.imported.values()],
)


rule import_similarity:
    # No input: the content is among the params, and the file may go when it has been taken in.
    output:
        f"{RESULTS}/imported/{{name}}.json",
    log:
        f"{RESULTS}/logs/import_similarity/{{name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/import_similarity/{{name}}.tsv"
    localrule: True
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("import_similarity"),
    params:
        entry=lambda wildcards: study.imported_entry(wildcards.name),
        models=study.active,
        version=version("import_similarity"),
    script:
        "../workflow_scripts/import_similarity.py"
