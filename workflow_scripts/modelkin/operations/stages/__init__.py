"""The stages of the workflow: everything that is said of one outside its own code, in one record.

The rules' resources and versions, the plan, the run's summary, the data dictionary and docs/stages.md are
read from it. Imports neither torch nor snakemake.
"""

from __future__ import annotations

from modelkin.operations.stages import records  # noqa: F401  (it registers them)
from modelkin.operations.stages.counts import possible_figures
from modelkin.operations.stages.record import (
    Comparisons,
    Condition,
    Passes,
    Stage,
    Subject,
    Table,
    get,
    of_rule,
    study_tables,
    workflow_stages,
)

__all__ = [
    "STAGES",
    "VERSIONS",
    "Comparisons",
    "Condition",
    "Passes",
    "Stage",
    "Subject",
    "Table",
    "get",
    "of_rule",
    "possible_figures",
    "study_tables",
]

STAGES: tuple[Stage, ...] = tuple(workflow_stages())
# By what manifests call the stages.
VERSIONS: dict[str, int] = {stage.recorded: stage.version for stage in STAGES}
