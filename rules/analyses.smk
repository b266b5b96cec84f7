# What follows from the similarity table: summaries, clusters, ensembles, distillation.
ANALYSES = [
    *tables([*stages.study_tables(study), "README"]),
    *expand(f"{RESULTS}/students/{{teacher}}.json", teacher=study.teachers),
]
# Named only where attacks have labels: a study of one attack knows nothing of them.
LABELS = [label for label in map(probe_kinds.attack_of, study.attacks) if label]
LABELLED_ATTACKS = {"attacks": LABELS} if LABELS else {}
# Named only where there are several: the levels of other studies are radii alone.
NORMS = sorted(
    {
        study.models[name]["norm"]
        for name in study.active
        if study.models[name]["eps"] > 0
    }
)
SEVERAL_NORMS = {"norms": NORMS} if len(NORMS) > 1 else {}
# Named only where failed inversions are tried again.
RESCUE = {"rescue": True} if study.section("inversion").get("rescue") else {}
DIRECTIONS = {label: measures.describe_label(label).direction for label in study.labels}


rule tables:
    input:
        models=expand(f"{RESULTS}/models/{{model}}.json", model=study.active_compared),
        cards=expand(f"{RESULTS}/cards/{{model}}.json", model=study.active_compared),
        probes=expand(
            f"{RESULTS}/probes/inverted{{on}}/{{model}}.json",
            on=ON,
            model=study.active_compared,
        ),
        attacks=expand(
            f"{RESULTS}/{{what}}/{{model}}.json",
            what=ATTACKED,
            model=study.active_compared,
        ),
        similarity=expand(
            f"{RESULTS}/similarity/{{model}}.json", model=study.active_compared
        ),
        imported=IMPORTED,
    output:
        tables_of("tables"),
    log:
        f"{RESULTS}/logs/tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("tables"),
    params:
        **SEVERAL_NORMS,
        models=study.describe(study.active),
        components=study.components,
        others=study.others,
        failed_above=study.section("inversion")["failed_above"],
        version=version("tables"),
    script:
        "../workflow_scripts/tables.py"


if stages.get("other_models").is_made(study):

    rule other_models:
        input:
            cards=expand(
                f"{RESULTS}/cards/{{model}}.json", model=study.active_of_other_tasks
            ),
        output:
            tables_of("other_models"),
        log:
            f"{RESULTS}/logs/other_models.log",
        benchmark:
            f"{RESULTS}/benchmarks/other_models.tsv"
        localrule: True
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("other_models"),
        params:
            models=study.describe(study.active_of_other_tasks),
            version=version("other_models"),
        script:
            "../workflow_scripts/other_models.py"


rule dictionary:
    output:
        page=f"{RESULTS}/tables/README.json",
        columns=f"{RESULTS}/tables/dictionary.json",
        measures=f"{RESULTS}/tables/measures.json",
    log:
        f"{RESULTS}/logs/dictionary.log",
    benchmark:
        f"{RESULTS}/benchmarks/dictionary.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("dictionary"),
    params:
        **LABELLED_ATTACKS,
        **SEVERAL_NORMS,
        **RESCUE,
        study=study.name,
        tables=stages.study_tables(study),
        measures=study.labels,
        version=version("dictionary"),
    script:
        "../workflow_scripts/dictionary.py"


if stages.get("sat_shortcut").is_made(study):

    rule sat_shortcut:
        input:
            natural=expand(
                f"{RESULTS}/activations/natural/{{model}}.json", model=study.compared
            ),
            adversarial=expand(
                f"{RESULTS}/activations/{{kind}}/{{model}}.json",
                kind=map(probe_kinds.folder_of, study.attacks),
                model=study.compared,
            ),
            attacks=expand(
                f"{RESULTS}/{{what}}/{{model}}.json",
                what=ATTACKED,
                model=study.active_compared,
            ),
        output:
            tables_of("sat_shortcut"),
        log:
            f"{RESULTS}/logs/sat_shortcut.log",
        benchmark:
            f"{RESULTS}/benchmarks/sat_shortcut.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("sat_shortcut"),
        params:
            models=study.active_compared,
            order=study.compared,
            version=version("sat_shortcut"),
        script:
            "../workflow_scripts/sat_shortcut.py"


if stages.get("draws").is_made(study):

    rule draws:
        input:
            activations=expand(
                f"{RESULTS}/activations/{{kind}}/{{model}}.json",
                kind=map(probe_kinds.folder_of, study.resampled_kinds),
                model=study.compared,
            ),
            boundaries=BOUNDARIES,
            attacks=expand(
                f"{RESULTS}/{{what}}/{{model}}.json",
                what=ATTACKED,
                model=study.active_compared,
            ),
        output:
            tables_of("draws"),
        log:
            f"{RESULTS}/logs/draws.log",
        benchmark:
            f"{RESULTS}/benchmarks/draws.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("draws"),
        params:
            **study.products,
            repeats=study.resampling_draws,
            models=study.active_compared,
            order=study.compared,
            dataset=study.dataset,
            kinds=study.resampled_kinds,
            measures=measure_params,
            seed=study.seed,
            version=version("draws"),
        script:
            "../workflow_scripts/draws.py"


if stages.get("training_epochs").is_made(study):

    rule training_epochs:
        input:
            expand(
                f"{RESULTS}/snapshot_evaluations/{{model}}.json",
                model=[name for name in study.active if name in study.with_snapshots],
            ),
        output:
            tables_of("training_epochs"),
        log:
            f"{RESULTS}/logs/training_epochs.log",
        benchmark:
            f"{RESULTS}/benchmarks/training_epochs.tsv"
        localrule: True
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("training_epochs"),
        params:
            version=version("training_epochs"),
        script:
            "../workflow_scripts/training_epochs.py"


rule clusters:
    input:
        models=f"{RESULTS}/tables/models.json",
        similarity=f"{RESULTS}/tables/similarity.json",
    output:
        tables_of("clusters"),
    log:
        f"{RESULTS}/logs/clusters.log",
    benchmark:
        f"{RESULTS}/benchmarks/clusters.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("clusters"),
    params:
        clusters=study.section("clusters"),
        directions=DIRECTIONS,
        seed=study.seed,
        version=version("clusters"),
    script:
        "../workflow_scripts/clusters.py"


rule conclusions:
    input:
        models=f"{RESULTS}/tables/models.json",
        similarity=f"{RESULTS}/tables/similarity.json",
    output:
        tables_of("conclusions"),
    log:
        f"{RESULTS}/logs/conclusions.log",
    benchmark:
        f"{RESULTS}/benchmarks/conclusions.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("conclusions"),
    params:
        directions=DIRECTIONS,
        seed=study.seed,
        version=version("conclusions"),
    script:
        "../workflow_scripts/conclusions.py"


rule components:
    input:
        components=f"{RESULTS}/tables/components.json",
        similarity=f"{RESULTS}/tables/similarity.json",
        clusters=f"{RESULTS}/tables/clusters.json",
        models=f"{RESULTS}/tables/models.json",
    output:
        tables_of("components"),
    log:
        f"{RESULTS}/logs/components.log",
    benchmark:
        f"{RESULTS}/benchmarks/components.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("components"),
    params:
        seed=study.seed,
        version=version("components"),
    script:
        "../workflow_scripts/components.py"


rule ensembles:
    input:
        models=f"{RESULTS}/tables/models.json",
        similarity=f"{RESULTS}/tables/similarity.json",
        probe=NATURAL,
        activations=expand(
            f"{RESULTS}/activations/natural/{{model}}.json",
            model=study.active_compared,
        ),
    output:
        tables_of("ensembles"),
    log:
        f"{RESULTS}/logs/ensembles.log",
    benchmark:
        f"{RESULTS}/benchmarks/ensembles.tsv"
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("ensembles"),
    params:
        ensembles=study.section("ensembles"),
        directions=DIRECTIONS,
        seed=study.seed,
        version=version("ensembles"),
    script:
        "../workflow_scripts/ensembles.py"


if stages.get("distillation").is_made(study):

    rule distill:
        input:
            dataset=DATASET,
            teacher=f"{RESULTS}/models/{{teacher}}.json",
        output:
            f"{RESULTS}/students/{{teacher}}.json",
        log:
            f"{RESULTS}/logs/distill/{{teacher}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/distill/{{teacher}}.tsv"
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("distill"),
        params:
            distillation={
                key: study.distillation[key]
                for key in ("repeats", "weight", "shift", "noise")
            },
            student=study.training(study.distillation["student"]),
            resize=study.resizing,
            seed=study.seed,
            version=version("distill"),
        script:
            "../workflow_scripts/distill.py"

    rule distillation:
        input:
            models=f"{RESULTS}/tables/models.json",
            components=f"{RESULTS}/tables/components.json",
            similarity=f"{RESULTS}/tables/similarity.json",
            students=expand(
                f"{RESULTS}/students/{{teacher}}.json", teacher=study.teachers
            ),
        output:
            tables_of("distillation"),
        log:
            f"{RESULTS}/logs/distillation.log",
        benchmark:
            f"{RESULTS}/benchmarks/distillation.tsv"
        localrule: True
        conda:
            "../envs/modelkin.yaml"
        resources:
            **needs("distillation"),
        params:
            student=study.distillation["student"],
            seed=study.seed,
            version=version("distillation"),
        script:
            "../workflow_scripts/distillation.py"


rule recommendations:
    input:
        best=f"{RESULTS}/tables/ensemble_best.json",
        students=expand(f"{RESULTS}/students/{{teacher}}.json", teacher=study.teachers),
    output:
        tables_of("recommendations"),
    log:
        f"{RESULTS}/logs/recommendations.log",
    benchmark:
        f"{RESULTS}/benchmarks/recommendations.tsv"
    localrule: True
    conda:
        "../envs/modelkin.yaml"
    resources:
        **needs("recommendations"),
    params:
        student=study.distillation and study.distillation["student"],
        version=version("recommendations"),
    script:
        "../workflow_scripts/recommendations.py"
