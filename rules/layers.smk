# Models compared layer by layer: each with itself, pairs, and models along their training. These jobs stand
# beside the shells: there is one for each model, pair and training that the config names.
ADVERSARIAL_LAYERS = [
    kind
    for kind in (study.layers or {"images": []})["images"]
    if probe_kinds.is_adversarial(kind)
]
LAYER_COMPARISONS = [
    *expand(f"{RESULTS}/layers/within/{{model}}.json", model=study.layers_within),
    *(f"{RESULTS}/layers/between/{a}/{b}.json" for a, b in study.layers_between),
    *expand(
        f"{RESULTS}/layers/snapshots/{{model}}.json", model=study.layers_along_training
    ),
]


if stages.get("layers_within").is_made(study):

    rule layers_within:
        input:
            model=f"{RESULTS}/models/{{model}}.json",
            images=lambda wildcards: layer_images(wildcards.model),
        output:
            f"{RESULTS}/layers/within/{{model}}.json",
        log:
            f"{RESULTS}/logs/layers_within/{{model}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/layers_within/{{model}}.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("layers_within"),
        params:
            layers=layer_settings,
            dataset=study.dataset,
            resize=study.resizing,
            seed=study.seed,
            version=version("layers_within"),
        script:
            "../workflow_scripts/layers_within.py"


if stages.get("layers_between").is_made(study):

    rule layers_between:
        input:
            models=expand(
                f"{RESULTS}/models/{{name}}.json", name=["{model}", "{partner}"]
            ),
            images=lambda wildcards: layer_images(wildcards.model, wildcards.partner),
        output:
            f"{RESULTS}/layers/between/{{model}}/{{partner}}.json",
        log:
            f"{RESULTS}/logs/layers_between/{{model}}/{{partner}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/layers_between/{{model}}/{{partner}}.tsv"
        wildcard_constraints:
            partner="[^/]+",
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("layers_between"),
        params:
            layers=layer_settings,
            dataset=study.dataset,
            resize=study.resizing,
            seed=study.seed,
            version=version("layers_between"),
        script:
            "../workflow_scripts/layers_between.py"


if stages.get("layers_snapshots").is_made(study):

    rule layers_snapshots:
        input:
            snapshots=f"{RESULTS}/snapshots/{{model}}.json",
            evaluations=f"{RESULTS}/snapshot_evaluations/{{model}}.json",
            images=NATURAL,
        output:
            f"{RESULTS}/layers/snapshots/{{model}}.json",
        log:
            f"{RESULTS}/logs/layers_snapshots/{{model}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/layers_snapshots/{{model}}.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("layers_snapshots"),
        params:
            against=study.layers["snapshots"]["against"],
            estimator=study.layers["estimator"],
            robust=lambda wildcards: study.recipe(wildcards.model) != "standard",
            resize=study.resizing,
            seed=study.seed,
            version=version("layers_snapshots"),
        script:
            "../workflow_scripts/layers_snapshots.py"


if stages.get("layer_tables").is_made(study):

    rule layer_tables:
        input:
            comparisons=LAYER_COMPARISONS,
            epochs=(
                [f"{RESULTS}/tables/training_epochs.json"]
                if study.layers_along_training
                else []
            ),
        output:
            tables_of("layer_tables"),
        log:
            f"{RESULTS}/logs/layer_tables.log",
        benchmark:
            f"{RESULTS}/benchmarks/layer_tables.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("layer_tables"),
        params:
            dataset=study.dataset,
            levels={
                name: study.models[name]["eps"]
                for pair in (study.layers_between if ADVERSARIAL_LAYERS else [])
                for name in pair
            },
            version=version("layer_tables"),
        script:
            "../workflow_scripts/layer_tables.py"
