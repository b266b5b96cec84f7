# Whether one model can go on where another stops: a job for each pair that the config names.
STITCHES = expand(
    f"{RESULTS}/stitches/{{what}}/{{pair}}.json",
    what=["matching", "judged"],
    pair=study.stitched_pairs,
)

# What is seen of the models of a pair, and with inversions the images themselves.
STITCHED_VIEWS = study.stitched_views + ["inverted"] * (
    "inversions" in study.stitched_views
)


rule stitch:
    input:
        dataset=lambda wildcards: f"{RESULTS}/{study.dataset_manifest(study.stitching_task(wildcards.pair))}",
        models=stitched_models,
    output:
        f"{RESULTS}/stitches/matching/{{pair}}.json",
        f"{RESULTS}/stitches/judged/{{pair}}.json",
    log:
        f"{RESULTS}/logs/stitch/{{pair}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/stitch/{{pair}}.tsv"
    wildcard_constraints:
        pair=only(study.stitched_pairs),
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("stitch"),
    params:
        stitching={
            key: value
            for key, value in (study.stitching or {}).items()
            if key not in ("pairs", "agreement", "tasks", "inversions", "t_sne")
        },
        attack={
            key: study.section("evaluation")[key]
            for key in ("norm", "radius", "steps", "step_size")
        },
        resize=study.resizing,
        seed=study.seed,
        version=version("stitch"),
    script:
        "../workflow_scripts/stitch.py"


if stages.get("stitching").is_made(study):

    rule stitching:
        input:
            STITCHES,
        output:
            tables_of("stitching"),
        log:
            f"{RESULTS}/logs/stitching.log",
        benchmark:
            f"{RESULTS}/benchmarks/stitching.tsv"
        localrule: True
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("stitching"),
        params:
            tasks={label: study.stitching_task(label) for label in study.stitched_pairs},
            version=version("stitching"),
        script:
            "../workflow_scripts/stitching.py"


# Stitched models as pictures: only where the config asks.
if study.stitched_views:

    rule stitch_views:
        input:
            dataset=lambda wildcards: f"{RESULTS}/{study.dataset_manifest(study.stitching_task(wildcards.pair))}",
            models=stitched_models,
        output:
            expand(
                f"{RESULTS}/stitches/{{what}}/{{{{pair}}}}.json", what=STITCHED_VIEWS
            ),
        log:
            f"{RESULTS}/logs/stitch_views/{{pair}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/stitch_views/{{pair}}.tsv"
        wildcard_constraints:
            pair=only(study.stitched_pairs),
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("stitch_views"),
        params:
            stitching={
                key: study.stitching[key]
                for key in (
                    "at",
                    "before_activation",
                    "train_images",
                    "test_images",
                    *study.stitched_views,
                )
            },
            inversion=inverting if "inversions" in study.stitched_views else {},
            resize=study.resizing,
            seed=study.seed,
            version=version("stitch_views"),
        script:
            "../workflow_scripts/stitch_views.py"

    rule stitching_views:
        input:
            expand(
                f"{RESULTS}/stitches/{{what}}/{{pair}}.json",
                what=study.stitched_views,
                pair=study.stitched_pairs,
            ),
        output:
            tables_of("stitching_views"),
        log:
            f"{RESULTS}/logs/stitching_views.log",
        benchmark:
            f"{RESULTS}/benchmarks/stitching_views.tsv"
        localrule: True
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("stitching_views"),
        params:
            tasks={label: study.stitching_task(label) for label in study.stitched_pairs},
            version=version("stitching_views"),
        script:
            "../workflow_scripts/stitching_views.py"


# Heads on other models' representations, in shells in order of arrival as similarity is.
HEADS = expand(
    f"{RESULTS}/stitches/heads/{{model}}.json",
    model=study.compared if study.agreement is not None else [],
)


if study.agreement is not None:

    rule training_activations:
        input:
            model=f"{RESULTS}/models/{{model}}.json",
            dataset=DATASET,
        output:
            f"{RESULTS}/training_activations/{{model}}.json",
        log:
            f"{RESULTS}/logs/training_activations/{{model}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/training_activations/{{model}}.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("training_activations"),
        params:
            images=study.agreement["train_images"],
            resize=study.resizing,
            version=version("training_activations"),
        script:
            "../workflow_scripts/training_activations.py"

    rule stitched_heads:
        input:
            trained=lambda wildcards: stitched_to(wildcards, "training_activations"),
            natural=lambda wildcards: stitched_to(wildcards, "activations/natural"),
            models=lambda wildcards: stitched_to(wildcards, "models"),
            # Shells of the same models, in the order of which they hold each other.
            inverted=lambda wildcards: (
                stitched_to(wildcards, "activations/inverted")
                if study.agreement["retrained"]
                else []
            ),
        output:
            f"{RESULTS}/stitches/heads/{{model}}.json",
        log:
            f"{RESULTS}/logs/stitched_heads/{{model}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/stitched_heads/{{model}}.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("stitched_heads"),
        params:
            others=lambda wildcards: study.stitched_heads(wildcards.model),
            resize=study.resizing,
            version=version("stitched_heads"),
        script:
            "../workflow_scripts/stitched_heads.py"

    rule stitching_agreement:
        input:
            expand(
                f"{RESULTS}/stitches/heads/{{model}}.json", model=study.active_compared
            ),
        output:
            tables_of("stitching_agreement"),
        log:
            f"{RESULTS}/logs/stitching_agreement.log",
        benchmark:
            f"{RESULTS}/benchmarks/stitching_agreement.tsv"
        localrule: True
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("stitching_agreement"),
        params:
            levels={name: study.level(name) for name in study.active_compared},
            version=version("stitching_agreement"),
        script:
            "../workflow_scripts/stitching_agreement.py"
