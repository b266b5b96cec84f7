# A model's weights along its training, and how good they are, for the models of which the config asks it.
SNAPSHOTS = expand(
    f"{RESULTS}/{{what}}/{{model}}.json",
    what=["snapshots", "snapshot_evaluations"],
    model=study.with_snapshots,
)


# A rule of its own, so that asking for them later does not make the model anew. Training leaves them for it
# if they are asked for by then; else it trains the model once more and proves that the same one came out.
rule snapshots:
    input:
        dataset=dataset_of,
        model=f"{RESULTS}/models/{{model}}.json",
    output:
        f"{RESULTS}/snapshots/{{model}}.json",
    log:
        f"{RESULTS}/logs/snapshots/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/snapshots/{{model}}.tsv"
    wildcard_constraints:
        model=only(study.with_snapshots),
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("snapshots"),
    params:
        training=lambda wildcards: study.training(wildcards.model),
        epochs=lambda wildcards: study.snapshots(wildcards.model),
        seed=study.seed,
        version=version("snapshots"),
    script:
        "../workflow_scripts/snapshots.py"


rule evaluate_snapshots:
    input:
        snapshots=f"{RESULTS}/snapshots/{{model}}.json",
        dataset=dataset_of,
    output:
        f"{RESULTS}/snapshot_evaluations/{{model}}.json",
    log:
        f"{RESULTS}/logs/evaluate_snapshots/{{model}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate_snapshots/{{model}}.tsv"
    wildcard_constraints:
        model=only(study.with_snapshots),
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("evaluate_snapshots"),
    params:
        attack={
            key: study.section("evaluation")[key]
            for key in ("norm", "radius", "steps", "step_size")
        },
        images=study.snapshot_images,
        version=version("evaluate_snapshots"),
    script:
        "../workflow_scripts/evaluate_snapshots.py"
