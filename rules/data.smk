# The datasets and the probes that are drawn once and shared by all models. {on} is empty for the study's
# own dataset, and .label for another. A study whose models are known from tables alone has neither.
DATASET = f"{RESULTS}/dataset.json"
NATURAL = f"{RESULTS}/probes/natural.json"
PAIRS = f"{RESULTS}/probes/pairs.json"
DATA = [
    *DATASETS,
    *expand(
        f"{RESULTS}/probes/{{what}}{{on}}.json",
        what=["natural", "pairs"],
        on=ON if study.compared else [],
    ),
]


rule dataset:
    output:
        f"{RESULTS}/dataset{{on}}.json",
    log:
        f"{RESULTS}/logs/dataset{{on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/dataset{{on}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    threads: 8
    resources:
        **needs("dataset"),
    params:
        dataset=read_from,
        version=version("dataset"),
    script:
        "../workflow_scripts/dataset.py"


rule probes:
    input:
        f"{RESULTS}/dataset{{on}}.json",
    output:
        natural=f"{RESULTS}/probes/natural{{on}}.json",
        pairs=f"{RESULTS}/probes/pairs{{on}}.json",
    log:
        f"{RESULTS}/logs/probes{{on}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/probes{{on}}.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("probes"),
    params:
        samples={
            made: study.section("probes")[made] for made in ("natural", "inverted")
        },
        other=other,
        seed=study.seed,
        version=version("probes"),
    script:
        "../workflow_scripts/probes.py"
