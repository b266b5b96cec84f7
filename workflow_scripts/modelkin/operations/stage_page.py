"""The page docs/stages.md: all stages, from their records, with what they ask for in one study.

``python -m modelkin.operations.stage_page config.yaml docs/stages.md`` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from modelkin.operations import resources, stages
from modelkin.operations.stages import Stage
from modelkin.study.config import Study, read_study

HEAD = """# The stages

Written by `python -m modelkin.operations.stage_page config.yaml docs/stages.md` from the records in
`workflow_scripts/modelkin/operations/stages/`. Raising a version makes the stage anew in every study.
Jobs, passes of images through models (at the most, a gradient being one), memory and time are those that the
default study ({study}) asks a scheduler for; memory and time are of its largest job.

| stage | what it does | jobs | GPU | version | passes | MB | minutes |
|---|---|---|---|---|---|---|---|
"""
TABLES = """
## Tables

| stage | table | only if |
|---|---|---|
"""


def stage_page(study: Study) -> str:
    """The page in Markdown, its numbers being those of this study."""
    rows = [_row(stage, study) for stage in stages.STAGES]
    tables = [
        f"| {stage.name} | `{table.name}` | {' and '.join(_conditions(stage.condition, table.condition))} |"
        for stage in stages.STAGES
        for table in stage.tables
    ]
    return HEAD.format(study=study.name) + "\n".join(rows) + "\n" + TABLES + "\n".join(tables) + "\n"


def _row(stage: Stage, study: Study) -> str:
    subjects = stage.subjects(study)
    words = ", if ".join([stage.jobs.words, *_conditions(stage.condition)])
    asked = [
        [f(study, stage.name, *subject) for subject in subjects]
        for f in (resources.memory, resources.minutes)
    ]
    passes = sum(resources.passes(study, stage.name, *subject) for subject in subjects)
    cells = [
        f"`{stage.name}`",
        stage.description,
        f"{len(subjects)}: {words}",
        "yes" if stage.uses_gpu else "",
        str(stage.version),
        f"{passes:.3g}" if passes else "",
        *(str(max(values, default="")) for values in asked),
    ]
    return f"| {' | '.join(cells)} |"


def _conditions(*conditions: stages.Condition | None) -> list[str]:
    return [condition.words for condition in conditions if condition is not None]


if __name__ == "__main__":
    config, page = sys.argv[1:]
    Path(page).write_text(stage_page(read_study(config)), "utf-8")
