# Whether a study is whole, and the whole study as one file.


# What is damaged, missing, stale or orphaned: `snakemake verify --cores 1`.
rule verify:
    log:
        f"{RESULTS}/logs/verify.log",
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("verify"),
    params:
        study=study.name,
        folder=RESULTS,
        wanted=wanted,
        outside=study.outside(),
    script:
        "../workflow_scripts/verify.py"


# The whole study as one file: `snakemake bundle --cores 1`.
rule bundle:
    input:
        lambda wildcards: rules.all.input,
    output:
        f"{RESULTS}.zip",
    log:
        f"{RESULTS}/logs/bundle.log",
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("bundle"),
    params:
        folder=lambda wildcards, output: os.path.splitext(output[0])[0],
        config={key: value for key, value in config.items() if key != "bundle"},
        options=study.section("bundle"),
        wanted=wanted,
    script:
        "../workflow_scripts/bundle.py"
