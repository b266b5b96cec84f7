# Whether one model can go on where another stops: a job for each pair that the config names.
STITCHES = expand(
    f"{RESULTS}/stitches/{{what}}/{{pair}}.json",
    what=["matching", "judged"],
    pair=study.stitched_pairs,
)


rule stitch:
    input:
        dataset=DATASET,
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
            if key != "pairs"
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
            version=version("stitching"),
        script:
            "../workflow_scripts/stitching.py"
