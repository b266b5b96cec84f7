# What every model computes on every probe, in shells: a model's shell holds it and all models before
# it on its own probe, and it on the probes of all models before it.
ACTIVATIONS = expand(
    f"{RESULTS}/activations/{{kind}}/{{model}}.json",
    kind=map(probe_kinds.folder_of, study.kinds),
    model=study.compared,
)


# Where every model decides, if a measure asks.
BOUNDARIES = expand(
    f"{RESULTS}/boundaries/{{model}}.json",
    model=study.compared if stages.get("boundaries").is_made(study) else [],
)


rule boundaries:
    input:
        model=f"{RESULTS}/models/{{model}}.json",
        probe=NATURAL,
    output:
        f"{RESULTS}/boundaries/{{model}}.json",
    log:
        f"{RESULTS}/logs/boundaries/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/boundaries/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("boundaries"),
    params:
        boundaries=study.boundaries,
        resize=study.resizing,
        seed=study.seed,
        version=version("boundaries"),
    script:
        "../workflow_scripts/boundaries.py"


rule activations_natural:
    input:
        model=f"{RESULTS}/models/{{model}}.json",
        probe=f"{RESULTS}/probes/natural{{on}}.json",
    output:
        f"{RESULTS}/activations/natural{{on}}/{{model}}.json",
    log:
        f"{RESULTS}/logs/activations_natural{{on}}/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/activations_natural{{on}}/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("activations_natural"),
    params:
        resize=study.resizing,
        saliency=study.section("probes")["saliency"],
        version=version("activations_natural"),
    script:
        "../workflow_scripts/activations_natural.py"


rule activations_inverted:
    input:
        models=lambda wildcards: expand(
            f"{RESULTS}/models/{{model}}.json", model=study.through(wildcards.model)
        ),
        probes=lambda wildcards: expand(
            f"{RESULTS}/probes/inverted{wildcards.on}/{{model}}.json",
            model=study.through(wildcards.model),
        ),
    output:
        f"{RESULTS}/activations/inverted{{on}}/{{model}}.json",
    log:
        f"{RESULTS}/logs/activations_inverted{{on}}/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/activations_inverted{{on}}/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("activations_inverted"),
    params:
        models=lambda wildcards: study.through(wildcards.model),
        made="inverted",
        other=other,
        resize=study.resizing,
        version=version("activations_inverted"),
    script:
        "../workflow_scripts/activations_inverted.py"


use rule activations_inverted as activations_adversarial with:
    input:
        models=lambda wildcards: expand(
            f"{RESULTS}/models/{{model}}.json", model=study.through(wildcards.model)
        ),
        probes=lambda wildcards: expand(
            f"{RESULTS}/probes/adversarial{wildcards.attack}/{{model}}.json",
            model=study.through(wildcards.model),
        ),
    output:
        f"{RESULTS}/activations/adversarial{{attack}}/{{model}}.json",
    log:
        f"{RESULTS}/logs/activations_adversarial{{attack}}/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/activations_adversarial{{attack}}/{{model}}.tsv"
    resources:
        **needs("activations_adversarial"),
    params:
        models=lambda wildcards: study.through(wildcards.model),
        made="adversarial",
        other=attack_label,
        resize=study.resizing,
        version=version("activations_adversarial"),
