# From the config's entries to checkpoints, and from each checkpoint to its inverted probe.
MODELS = expand(f"{RESULTS}/{{kind}}/{{model}}.json", kind=["models", "probes/inverted"], model=study.names)


def inverting(wildcards):
    """The settings that decide the images; what counts as failed is for the tables."""
    return {key: value for key, value in study.section("inversion").items() if key != "failed_above"}


rule train:
    input:
        DATASET,
    output:
        f"{RESULTS}/models/{{model}}.json",
    log:
        f"{RESULTS}/logs/train/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{model}}.tsv"
    params:
        training=lambda wildcards: study.training(wildcards.model),
        evaluation=study.section("evaluation"),
        seed=study.seed,
        version=VERSIONS["train"],
    resources:
        gpu=GPU,
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/modelkin.yaml"
    script:
        "../workflow_scripts/train.py"


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
    params:
        inversion=inverting,
        version=VERSIONS["invert"],
    resources:
        gpu=GPU,
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/modelkin.yaml"
    script:
        "../workflow_scripts/invert.py"
