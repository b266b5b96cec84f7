# Whether a study is whole, and the whole study as one file.


# What is damaged, missing, stale or orphaned: `snakemake verify --cores 1`.
rule verify:
    log:
        f"{RESULTS}/logs/verify.log",
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=0,
        mem_mb=memory(2),
        runtime=60,
    params:
        study=study.name,
        folder=RESULTS,
        wanted=wanted,
    script:
        "../workflow_scripts/verify.py"
