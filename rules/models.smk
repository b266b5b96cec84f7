ATTACKED = ["probes/adversarial"] if stages.get("attack").is_made(study) else []

# From the config's entries to models, and from each model to its card and its inverted probes.
MODELS = expand(
    f"{RESULTS}/{{what}}/{{model}}.json",
    what=["models", "cards", *(f"probes/inverted{on}" for on in ON), *ATTACKED],
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
        **needs("train"),
    params:
        training=lambda wildcards: study.training(wildcards.model),
        seed=study.seed,
        version=version("train"),
    script:
        "../workflow_scripts/train.py"


rule import_model:
    input:
        dataset=DATASET,
        weights=lambda wildcards: study.weights_file(wildcards.model),
    output:
        f"{RESULTS}/models/{{model}}.json",
    log:
        f"{RESULTS}/logs/import_model/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/import_model/{{model}}.tsv"
    wildcard_constraints:
        model=only(study.taken),
    # First, so that a download that fails does so before hours of work.
    priority: 10
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("import_model"),
    params:
        entry=lambda wildcards: study.entry(wildcards.model),
        resize=study.resizing,
        version=version("import_model"),
    script:
        "../workflow_scripts/import_model.py"


rule evaluate:
    input:
        model=f"{RESULTS}/models/{{model}}.json",
        dataset=DATASET,
    output:
        f"{RESULTS}/cards/{{model}}.json",
    log:
        f"{RESULTS}/logs/evaluate/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("evaluate"),
    params:
        evaluation=study.section("evaluation"),
        resize=study.resizing,
        seed=study.seed,
        version=version("evaluate"),
    script:
        "../workflow_scripts/evaluate.py"


rule attack:
    input:
        model=f"{RESULTS}/models/{{model}}.json",
        probe=NATURAL,
    output:
        f"{RESULTS}/probes/adversarial/{{model}}.json",
    log:
        f"{RESULTS}/logs/attack/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/attack/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("attack"),
    params:
        adversarial=study.adversarial,
        resize=study.resizing,
        seed=study.seed,
        version=version("attack"),
    script:
        "../workflow_scripts/attack.py"


rule invert:
    input:
        model=f"{RESULTS}/models/{{model}}.json",
        dataset=f"{RESULTS}/dataset{{on}}.json",
        pairs=f"{RESULTS}/probes/pairs{{on}}.json",
    output:
        f"{RESULTS}/probes/inverted{{on}}/{{model}}.json",
    log:
        f"{RESULTS}/logs/invert{{on}}/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/invert{{on}}/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("invert"),
    params:
        inversion=inverting,
        resize=study.resizing,
        version=version("invert"),
    script:
        "../workflow_scripts/invert.py"
