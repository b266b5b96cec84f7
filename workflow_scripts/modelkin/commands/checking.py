"""A config checked in seconds, by what Snakemake would say of it before a run, without Snakemake."""

from __future__ import annotations

from pathlib import Path

from modelkin.operations import before_running
from modelkin.study.config import Study, load_config


def checked(config: str | Path) -> tuple[Study, list[str]]:
    """The study of a config, and in sentences what must be done before it can run; ModelkinError if wrong."""
    study = before_running.configured_study(load_config(config))
    found = before_running.look(study)
    return study, [*found.misfits(), *found.lacking()]


def summary(study: Study) -> str:
    """What a config asks for, in a few lines."""
    models = [f"{len(study.names)} models"]
    models += [f"{len(study.taken)} from elsewhere"] if study.taken else []
    trained = study.of_source("train")
    models += [f"{len(trained)} to be trained"] if trained else []
    lines = [f"Study '{study.name}': {', '.join(models)}."]
    if study.compared and study.dataset is not None:
        probes = study.section("probes")
        made = [f"{probes['natural']} natural images", f"{probes['inverted']} inverted ones"]
        made += [f"attacks: {len(study.attacks)}"] if study.attacks else []
        lines.append(
            f"Dataset {study.dataset}: {study.counts[study.dataset]['test']} test images; "
            f"probes of {', '.join(made)} (mode {study.section('inversion')['mode']})."
        )
    lines.append(f"Measures: {', '.join(study.labels)}.")
    return "\n".join(lines)
