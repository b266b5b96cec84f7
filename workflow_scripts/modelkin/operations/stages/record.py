"""What a record of a stage holds, and the registry of all of them. Imports nothing that is slow."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from modelkin.errors import unknown_name

if TYPE_CHECKING:
    from modelkin.comparison.measures import ConfiguredMeasure
    from modelkin.operations.network_costs import Cost
    from modelkin.study.config import Study


class Subject(NamedTuple):
    """What a job is about: a model ('' for none), the label of the dataset whose images it takes, the
    kind of adversarial probe that it makes or sees ('' for none), and a second model ('' for none).
    """

    model: str
    dataset: str
    adversarial: str = ""
    partner: str = ""


@dataclass(frozen=True)
class Passes:
    """Passes of images through one network.

    Attributes
    ----------
    forwards : float
        Forward passes alone.
    gradients : float
        Forward and backward passes, to the image.
    updates : float
        Forward and backward passes, to the weights.
    """

    forwards: float = 0
    gradients: float = 0
    updates: float = 0

    @property
    def total(self) -> float:
        """Passes of all types, each counted as one."""
        return self.forwards + self.gradients + self.updates

    def seconds(self, cost: Cost) -> float:
        """Seconds that they take on a network of this cost."""
        return self.forwards * cost.forward + self.gradients * cost.gradient + self.updates * cost.update

    def __add__(self, other: Passes) -> Passes:
        return Passes(
            self.forwards + other.forwards, self.gradients + other.gradients, self.updates + other.updates
        )

    def __mul__(self, times: float) -> Passes:
        return Passes(self.forwards * times, self.gradients * times, self.updates * times)


class Comparisons(NamedTuple):
    """So many pairs of models, compared by one measure on so many samples of one kind of probe, and as often
    again as there are permutations of the samples.
    """

    kind: str
    measure: ConfiguredMeasure
    pairs: int
    samples: int
    permutations: int


class Condition(NamedTuple):
    """On what a study must have for a stage or a table to be there: in words, and as a test of the study."""

    words: str
    holds: Callable[[Study], bool]


class Table(NamedTuple):
    """A table of the study: its name, (unit, meaning) of each of its columns, and when it is made."""

    name: str
    columns: Mapping[str, tuple[str, str]]
    condition: Condition | None = None

    def is_made(self, study: Study) -> bool:
        """Whether a study that has the table's stage has the table."""
        return self.condition is None or self.condition.holds(study)


class Jobs(NamedTuple):
    """The jobs of a stage: in words, and what each is about."""

    words: str
    subjects: Callable[[Study], Sequence[Subject]]


PassesOf = Callable[["Study", Subject], Mapping[str, Passes]]
ComparisonsOf = Callable[["Study", Subject], Iterable[Comparisons]]
NumberOf = Callable[["Study", Subject], float]


def _no_passes(study: Study, subject: Subject) -> Mapping[str, Passes]:
    return {}


def _no_comparisons(study: Study, subject: Subject) -> Iterable[Comparisons]:
    return ()


def _zero(study: Study, subject: Subject) -> float:
    return 0.0


def _nothing_stored(study: Study, subject: Subject, costs: Mapping[str, Cost]) -> float:
    return 0.0


@dataclass(frozen=True)
class Stage:
    """All that is said of a stage outside its own code; a job is one of its rule's.

    Attributes
    ----------
    name : str
        Unique; also the name of its rule, unless ``rule`` says otherwise.
    version : int or None
        Raise it when results change for the same settings: Snakemake then makes them again. A golden test
        fails when results change and the version does not. Measures carry their own. None for a command that
        makes no part of the study.
    description : str
        One sentence.
    jobs : Jobs
    recorded : str
        What manifests and :data:`~modelkin.operations.stages.VERSIONS` call it; its name by default.
    rule : str
        The rule's name, in which * stands for anything; the stage's by default.
    condition : Condition or None
        Which studies have it; None for all.
    uses_gpu, uses_torch : bool
        Whether its jobs take a GPU where there is one, and whether they import torch, which all do that take
        a GPU.
    multiplies_layers : bool
        Whether the layers' outputs of all images of a batch are multiplied with each other in its passes.
    tables : sequence of Table
        That it writes.
    passes, expected_passes : callable
        (study, subject) -> passes through each model's network: at the most, and as many as are to be
        expected (by default the same). The few images that only check a network are not counted.
    comparisons : callable
        (study, subject) -> comparisons of pairs of models.
    seconds : callable
        (study, subject) -> seconds of other work, which grows with the study.
    usual_seconds : float
        Seconds of work of about the same length in every study; ``extra_minutes`` must leave room for it.
    extra_minutes : int
        Minutes more to ask a scheduler for, beside those that are counted.
    held : callable
        (study, subject) -> bytes in memory, beside what every job needs.
    stored : callable
        (study, subject, costs of all networks) -> bytes of its results before compression.
    """

    name: str
    version: int | None
    description: str
    jobs: Jobs
    recorded: str = ""
    rule: str = ""
    condition: Condition | None = None
    uses_gpu: bool = False
    uses_torch: bool = False
    multiplies_layers: bool = False
    tables: Sequence[Table] = ()
    passes: PassesOf = _no_passes
    expected_passes: PassesOf | None = None
    comparisons: ComparisonsOf = _no_comparisons
    seconds: NumberOf = _zero
    usual_seconds: float = 0.0
    extra_minutes: int = 0
    held: NumberOf = _zero
    stored: Callable[[Study, Subject, Mapping[str, Cost]], float] = _nothing_stored

    def __post_init__(self) -> None:
        object.__setattr__(self, "recorded", self.recorded or self.name)
        object.__setattr__(self, "rule", self.rule or self.name)
        object.__setattr__(self, "uses_torch", self.uses_torch or self.uses_gpu)
        object.__setattr__(self, "expected_passes", self.expected_passes or self.passes)

    def is_made(self, study: Study) -> bool:
        """Whether the study has this stage."""
        return self.condition is None or self.condition.holds(study)

    def subjects(self, study: Study) -> list[Subject]:
        """What each of its jobs is about in this study; empty for a study without it."""
        return list(self.jobs.subjects(study)) if self.is_made(study) else []

    def table_names(self, study: Study) -> list[str]:
        """The tables that it writes in this study, in order."""
        return [table.name for table in self.tables if table.is_made(study)] if self.is_made(study) else []


RECORDS: dict[str, Stage] = {}


def register(stage: Stage) -> None:
    """Add a stage or a command to the registry; the order of the calls is that of the workflow.

    Raises
    ------
    ValueError
        If its name is taken, or another stage that manifests call the same has another version.
    """
    if stage.name in RECORDS:
        raise ValueError(f"there are two records of the stage {stage.name}")
    for other in RECORDS.values():
        if other.recorded == stage.recorded and other.version != stage.version:
            raise ValueError(
                f"{other.name} and {stage.name} are both recorded as {stage.recorded}, but differ"
            )
    RECORDS[stage.name] = stage


def workflow_stages() -> list[Stage]:
    """The stages of the workflow in order, commands left out."""
    return [stage for stage in RECORDS.values() if stage.version is not None]


def get(name: str) -> Stage:
    """The record of a stage or a command; ModelkinError with the nearest name if there is none."""
    if name not in RECORDS:
        raise unknown_name("stage", name, RECORDS)
    return RECORDS[name]


def of_rule(rule: str) -> Stage:
    """The record of the stage whose rule is so called; ModelkinError if there is none."""
    for stage in RECORDS.values():
        if fnmatch.fnmatchcase(rule, stage.rule):
            return stage
    raise unknown_name("rule of a stage", rule, (stage.rule for stage in RECORDS.values()))


def study_tables(study: Study) -> list[str]:
    """All tables that the study has, in the order of the workflow."""
    return [name for stage in workflow_stages() for name in stage.table_names(study)]
