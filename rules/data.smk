# The dataset and the probes that are drawn once and shared by all models.
DATASET = f"{RESULTS}/dataset.json"
NATURAL = f"{RESULTS}/probes/natural.json"
PAIRS = f"{RESULTS}/probes/pairs.json"
DATA = [DATASET, NATURAL, PAIRS]


rule dataset:
    output:
        DATASET,
    log:
        f"{RESULTS}/logs/dataset.log",
    benchmark:
        f"{RESULTS}/benchmarks/dataset.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=10,
    params:
        dataset=study.section("dataset"),
        version=VERSIONS["dataset"],
    script:
        "../workflow_scripts/dataset.py"


rule probes:
    input:
        DATASET,
    output:
        natural=NATURAL,
        pairs=PAIRS,
    log:
        f"{RESULTS}/logs/probes.log",
    benchmark:
        f"{RESULTS}/benchmarks/probes.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        gpu=0,
        mem_mb=2000,
        runtime=10,
    params:
        samples=study.section("probes"),
        seed=study.seed,
        version=VERSIONS["probes"],
    script:
        "../workflow_scripts/probes.py"
