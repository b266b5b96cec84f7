# From the config's entries to checkpoints, and from each checkpoint to its inverted probe.
MODELS = expand(
    f"{RESULTS}/{{kind}}/{{model}}.json",
    kind=["models", "probes/inverted"],
    model=study.names,
)


rule train:
    input:
        DATASET,
    output:
        f"{RESULTS}/models/{{model}}.json",
    log:
        f"{RESULTS}/logs/train/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{model}}.tsv"
    wildcard_constraints:
        model=only(study.of_source("train")),
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=GPU,
        mem_mb=2000,
        runtime=60,
    params:
        training=lambda wildcards: study.training(wildcards.model),
        evaluation=study.section("evaluation"),
        seed=study.seed,
        version=VERSIONS["train"],
    script:
        "../workflow_scripts/train.py"


rule import_model:
    input:
        dataset=DATASET,
        weights=lambda wildcards: study.models[wildcards.model]["weights"],
    output:
        f"{RESULTS}/models/{{model}}.json",
    log:
        f"{RESULTS}/logs/import_model/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/import_model/{{model}}.tsv"
    wildcard_constraints:
        model=only(study.of_source("file")),
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=GPU,
        mem_mb=2000,
        runtime=30,
    params:
        checkpoint=lambda wildcards: study.checkpoint(wildcards.model),
        evaluation=study.section("evaluation"),
        version=VERSIONS["import"],
    script:
        "../workflow_scripts/import_model.py"


rule invert:
    input:
        model=f"{RESULTS}/models/{{model}}.json",
        dataset=DATASET,
        pairs=PAIRS,
    output:
        f"{RESULTS}/probes/inverted/{{model}}.json",
    log:
        f"{RESULTS}/logs/invert/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/invert/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=GPU,
        mem_mb=2000,
        runtime=60,
    params:
        inversion=inverting,
        version=VERSIONS["invert"],
    script:
        "../workflow_scripts/invert.py"
