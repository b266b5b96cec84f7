# Every pair that a model completes, by every measure. Parts that are already there for a measure are
# used again, so a new measure computes itself alone.
SIMILARITY = expand(f"{RESULTS}/similarity/{{model}}.json", model=study.names)


rule similarity:
    input:
        natural=lambda wildcards: expand(
            f"{RESULTS}/activations/natural/{{model}}.json",
            model=study.through(wildcards.model),
        ),
        inverted=lambda wildcards: expand(
            f"{RESULTS}/activations/inverted/{{model}}.json",
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
        gpu=GPU,
        mem_mb=2000,
        runtime=60,
    params:
        models=lambda wildcards: study.through(wildcards.model),
        dataset=study.section("dataset")["name"],
        measures=measured,
        permutations=study.section("chance")["permutations"],
        seed=study.seed,
        version=VERSIONS["similarity"],
    script:
        "../workflow_scripts/similarity.py"
