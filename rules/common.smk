# What the rules ask of the study, and of the records of their stages.
def needs(stage):
    """The resources of a job of that stage: as much memory and time again at each further attempt."""
    record = stages.get(stage)
    return {
        "gpu": int(record.uses_gpu and study.device != "cpu"),
        "mem_mb": lambda wildcards, attempt: attempt
        * resources.memory(*about(stage, wildcards)),
        "runtime": lambda wildcards, attempt: attempt
        * resources.minutes(*about(stage, wildcards)),
    }


def version(stage):
    """The version of that stage's results."""
    return stages.get(stage).version


def about(stage, wildcards):
    """Study, stage, and the model, other dataset, attack and other model that a job is about, empty where none."""
    named = (wildcards.get(key) for key in ("model", "teacher", "pair"))
    model = next(filter(None, named), "")
    on, attack = (wildcards.get(key, "").removeprefix(".") for key in ("on", "attack"))
    of_model = study.models.get(model, {}).get("dataset", "")
    if "pair" in wildcards.keys():
        of_model = study.stitching_task(model)
    return (
        study,
        stage,
        model,
        on or of_model,
        probe_kinds.kind_of("adversarial", attack),
        wildcards.get("partner") or "",
    )


def only(names):
    """A pattern that these names match and no others."""
    return "|".join(map(re.escape, names)) or "(?!)"


def other(wildcards):
    """The label of the dataset that is meant, empty for the study's own."""
    return wildcards.on.removeprefix(".")


def attack_label(wildcards):
    """The label of the attack that is meant, empty for a study's only one."""
    return wildcards.attack.removeprefix(".")


def attacked_kind(wildcards):
    """The kind of probe that the attack makes that is meant."""
    return probe_kinds.kind_of("adversarial", attack_label(wildcards))


def dataset_of(wildcards):
    """The manifest of the dataset that a model was made for."""
    return f"{RESULTS}/{study.dataset_manifest(study.dataset_of(wildcards.model))}"


def stitched_models(wildcards):
    """The manifests of the front and the end of a pair."""
    return expand(
        f"{RESULTS}/models/{{model}}.json", model=study.stitched_pairs[wildcards.pair]
    )


def stitched_to(wildcards, folder):
    """The manifests in a folder of the models whose heads a model is stitched to, and its own."""
    names = [*study.stitched_heads(wildcards.model), wildcards.model]
    return expand(f"{RESULTS}/{folder}/{{model}}.json", model=names)


def read_from(wildcards):
    """The settings of the dataset that is meant; what is expected of it is for the plan."""
    settings = study.settings(other(wildcards) or study.dataset)
    return {key: value for key, value in settings.items() if key != "expected"}


def inverting(wildcards):
    """The settings that decide the images.

    What counts as failed is for the tables, unless failed images are tried again.
    """
    section = study.section("inversion")
    again = {"rescue_above": section["failed_above"]} if section.get("rescue") else {}
    return {
        key: value
        for key, value in section.items()
        if key not in ("failed_above", "rescue")
    } | again


def measure_params(wildcards):
    """The measures in a form that Snakemake can compare with the last run's."""
    return [
        {
            "label": m.label,
            "name": m.name,
            "settings": m.settings,
            "version": measures.get(m.name).version,
        }
        for m in study.measures
    ]


def layer_images(*models):
    """The natural probe, and the adversarial ones of these models, in the order of the scripts."""
    return [
        NATURAL,
        *expand(
            f"{RESULTS}/probes/{{kind}}/{{model}}.json",
            kind=map(probe_kinds.folder_of, ADVERSARIAL_LAYERS),
            model=models,
        ),
    ]


def layer_settings(wildcards):
    """What decides a map, whichever maps there are beside it; natural images come first."""
    named = {
        key: study.layers[key]
        for key in ("layers", "features", "estimator", "baseline")
    }
    model, asked = wildcards.model, {}
    if study.layers_by_procrustes(model, wildcards.get("partner", model)):
        asked = {"procrustes": True}
    return {**named, **asked, "images": ["natural", *ADVERSARIAL_LAYERS]}


def tables(names):
    """The manifests of these tables."""
    return [f"{RESULTS}/tables/{name}.json" for name in names]


def tables_of(stage):
    """The manifests of the tables that this stage makes of the study."""
    return tables(stages.get(stage).table_names(study))


def made_of(manifest):
    """What the config wants an artifact to be made of: version, settings, and manifests below the study."""
    maker = next(each for each in workflow.rules if each.is_producer(manifest))
    wildcards = Wildcards(fromdict=maker.get_wildcards(manifest))
    inputs = maker.expand_input(wildcards)[0]
    outputs = maker.expand_output(wildcards)[0]
    params = maker.expand_params(wildcards, inputs, outputs, job=None)[0]
    return {
        "version": params.version,
        "settings": jobs.manifest_settings(params),
        "inputs": [
            os.path.relpath(path, RESULTS) for path in inputs if path.endswith(".json")
        ],
    }


def wanted(wildcards):
    """:func:`made_of` for every artifact of the study, also for the parts of similarity shells."""
    every = {
        os.path.relpath(path, RESULTS): made_of(path)
        for path in rules.all.input
        if path not in PAGES  # what the report shows of figures that have manifests
    }
    for path in SIMILARITY:
        shell = os.path.relpath(path, RESULTS)
        for label, part in measures.settings_by_measure(
            every[shell]["settings"]
        ).items():
            every[f"{shell.removesuffix('.json')}/{label}.json"] = {
                **every[shell],
                "settings": part,
                "inputs": [
                    path
                    for path in every[shell]["inputs"]
                    if measures.takes_artifact(part["measure"]["name"], path)
                ],
            }
    return every
