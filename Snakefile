# From a list of trained image classifiers to what they have in common. Config, validation, targets;
# the rules of each stage stand in rules/.
import atexit
import contextlib
import os
import re
import sys
import time
from pathlib import Path

from snakemake.iocontainers import Wildcards
from snakemake.utils import min_version

min_version("9.0")

# Jobs share the cores: threads that wait must sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, os.path.join(workflow.basedir, "workflow_scripts"))

from modelkin import figures, jobs, probe_kinds
from modelkin.comparison import measures
from modelkin.errors import ModelkinError
from modelkin.jobs import fork_server
from modelkin.operations import (
    before_running,
    changed_inputs,
    mixed_devices,
    resources,
    run_summary,
    stages,
    study_lock,
)
from modelkin.store import disk, paths
from modelkin.store.manifests import read_intact
from modelkin.store.modification_times import restore_order
from modelkin.study.config import load_config, summarise_missing

# A job ends when the process that started it does; on a cluster that is the one beside it.
os.environ[jobs.STARTED_BY] = str(os.getpid())

# A config given on the command line replaces the default one and is not merged with it.
if not workflow.overwrite_configfiles:

    # Read once before, for Snakemake does not say in which line a file is wrong.
    try:
        if os.path.exists("config.yaml"):
            load_config("config.yaml")
    except ModelkinError as error:
        sys.exit(f"config: {error}")

    configfile: "config.yaml"


try:
    study = before_running.configured_study(config)
except ModelkinError as error:
    sys.exit(f"config: {error}")
RESULTS = paths.study_folder(study.name).as_posix()

# What is not there yet and what is made of it (a study can be looked at and planned without its data), and what is
# not what the study was made of and would stand beside what is made now. Jobs need not look again.
if workflow.is_main_process:
    FOUND = before_running.look(study)
    for said in FOUND.sentences():
        print(f"config: {said}", file=sys.stderr)


onstart:
    schedule_only_when_jobs_end()
    # Only what the coming jobs make: a checkpoint may go when its model has been taken in. Touching makes nothing.
    coming = [] if workflow.touch else [*workflow.dag.needrun_jobs()]
    made = {path for job in coming for path in job.output}
    if said := summarise_missing(
        said for path, said in FOUND.missing.items() if path in made
    ):
        sys.exit(f"config: {said}")
    left = [
        each for each in FOUND.changed if f"{RESULTS}/{each.manifest}" not in made
    ]
    if made and left:
        sys.exit(f"config: {changed_inputs.file_sentence(left[0], RESULTS)}")
    if made and FOUND.moved:
        sys.exit(f"config: {FOUND.moved}")
    if said := what_would_be_mixed():
        sys.exit(f"config: {said}")
    if made:  # not for a plan or a look at what is there
        try:
            STUDY_LOCK.take(jobs_here=workflow.local_exec)
        except ModelkinError as error:
            sys.exit(str(error))
        start_fork_server(coming)


onsuccess:
    report_run()


onerror:
    report_run()


# What stands in paths for the study's own dataset, and for its others that there are probes of.
ON = ["", *(f".{label}" for label in study.others)]
DATASETS = [f"{RESULTS}/{study.dataset_manifest(label)}" for label in study.datasets]
# What stands in paths for an attack: nothing for a study's only one, else its label.
ATTACKS = [
    f".{label}" if label else "" for label in map(probe_kinds.attack_of, study.attacks)
]


wildcard_constraints:
    model="[^/]+",
    on=f"(|{'|'.join(re.escape(f'.{label}') for label in study.datasets)})",
    attack=f"({'|'.join(map(re.escape, ATTACKS))})",


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/runs.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/snapshots.smk"
include: "rules/activations.smk"
include: "rules/similarity.smk"
include: "rules/layers.smk"
include: "rules/analyses.smk"
include: "rules/stitching.smk"
include: "rules/figures.smk"
include: "rules/explorer.smk"
include: "rules/sharing.smk"


# What the study will cost: `snakemake plan --cores 1`.
rule plan:
    log:
        f"{RESULTS}/logs/plan.log",
    conda:
        "envs/modelkin.yaml"
    resources:
        **needs("plan"),
    params:
        kept=paths.CALIBRATION,
        folder=RESULTS,
    script:
        "workflow_scripts/plan.py"


rule all:
    """Everything that the config asks for, up to figures and explorer."""
    default_target: True
    input:
        DATA,
        MODELS,
        SNAPSHOTS,
        ACTIVATIONS,
        BOUNDARIES,
        SIMILARITY,
        IMPORTED,
        LAYER_COMPARISONS,
        STITCHES,
        HEADS,
        ANALYSES,
        FIGURES,
        PAGES,
        EXPLORER,


# `snakemake --list` says of a rule what the record of its stage does, and of a figure what it shows.
for each in workflow.rules:
    each.docstring = each.docstring or stages.of_rule(each.name).description
    if each.name.startswith("figure_"):
        each.docstring = POSSIBLE_FIGURES[each.name.removeprefix("figure_")].title


# Jobs parse this file too; only the process that plans them looks at ages.
if workflow.is_main_process:
    # Snakemake makes the folders of logs and benchmarks itself. What a wildcard stands for is not a name yet, and
    # with what it may be, all models perhaps, longer than names can be.
    beside = [path for each in workflow.rules for path in [*each.log, each.benchmark]]
    beside = [re.sub(r"{.*", "*", str(path)) for path in beside if path]
    try:
        disk.check_places([*rules.all.input, *beside], RESULTS)
        restore_order(rules.all.input, Path(RESULTS, "benchmarks").rglob("*.tsv"))
    except ModelkinError as error:
        sys.exit(str(error))
