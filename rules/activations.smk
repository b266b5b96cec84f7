# What every model computes on every probe, in shells: a model's shell holds it and all models before
# it on its own probe, and it on the probes of all models before it.
ACTIVATIONS = expand(
    f"{RESULTS}/activations/{{kind}}/{{model}}.json",
    kind=["natural", "inverted"],
    model=study.names,
)


rule activations_natural:
    input:
        model=f"{RESULTS}/models/{{model}}.json",
        probe=NATURAL,
    output:
        f"{RESULTS}/activations/natural/{{model}}.json",
    log:
        f"{RESULTS}/logs/activations_natural/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/activations_natural/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=GPU,
        mem_mb=2000,
        runtime=60,
    params:
        version=VERSIONS["activations"],
    script:
        "../workflow_scripts/activations_natural.py"


rule activations_inverted:
    input:
        models=lambda wildcards: expand(
            f"{RESULTS}/models/{{model}}.json", model=study.through(wildcards.model)
        ),
        probes=lambda wildcards: expand(
            f"{RESULTS}/probes/inverted/{{model}}.json",
            model=study.through(wildcards.model),
        ),
    output:
        f"{RESULTS}/activations/inverted/{{model}}.json",
    log:
        f"{RESULTS}/logs/activations_inverted/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/activations_inverted/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=GPU,
        mem_mb=2000,
        runtime=60,
    params:
        models=lambda wildcards: study.through(wildcards.model),
        version=VERSIONS["activations"],
    script:
        "../workflow_scripts/activations_inverted.py"
