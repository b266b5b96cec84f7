# The folders of adversarial probes, one for each attack.
ATTACKED = [f"probes/{probe_kinds.folder_of(kind)}" for kind in study.attacks]

# From the config's entries to models, and from each model to its card; those of the study's own dataset
# have inverted probes too.
MODELS = [
    *expand(
        f"{RESULTS}/{{what}}/{{model}}.json",
        what=["models", "cards"],
        model=study.with_weights,
    ),
    *expand(
        f"{RESULTS}/{{what}}/{{model}}.json",
        what=[*(f"probes/inverted{on}" for on in ON), *ATTACKED],
        model=study.compared,
    ),
]


rule train:
    input:
        dataset_of,
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
        dataset=dataset_of,
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
        dataset=dataset_of,
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
        f"{RESULTS}/probes/adversarial{{attack}}/{{model}}.json",
    log:
        f"{RESULTS}/logs/attack{{attack}}/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/attack{{attack}}/{{model}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("attack"),
    params:
        adversarial=lambda wildcards: study.attacks[attacked_kind(wildcards)],
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
