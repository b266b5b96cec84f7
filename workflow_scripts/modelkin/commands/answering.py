"""A finished study's answer in words on a terminal, as it stands on the first screen of the explorer."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

from modelkin.errors import ModelkinError
from modelkin.explorer import answer, derived
from modelkin.explorer.sentences import Sentence
from modelkin.operations import stages
from modelkin.store import frames, paths
from modelkin.study.config import Study


def is_finished(study: Study) -> bool:
    """Whether the study has its page, and no table is newer, so that it says what they do."""
    folder = paths.study_folder(study.name)
    page, tables = (
        folder / "explorer.json",
        [folder / paths.table(name) for name in stages.study_tables(study)],
    )
    if not all(path.is_file() for path in (page, *tables)):
        return False
    return all(path.stat().st_mtime_ns <= page.stat().st_mtime_ns for path in tables)


def explorer_page(study: Study) -> Path:
    """The page of a finished study; ModelkinError if it is not there or of earlier tables."""
    page = paths.study_folder(study.name) / "explorer.html"
    if not is_finished(study):
        raise ModelkinError(
            f"{page} is not there or older than its tables; run the study first: modelkin run."
        )
    return page


def answer_text(study: Study, brief: bool = False) -> str:
    """What a study has found, a paragraph for each section.

    brief: the headline and what makes numbers doubtful alone.
    """
    folder = paths.study_folder(study.name)
    tables = {name: frames.read(folder / paths.table(name)) for name in stages.study_tables(study)}
    tables = derived.with_derived(tables)
    headline = Sentence("", answer.headline(tables)).text
    parts = answer.in_sections(answer.answer(tables))
    said = [_wrapped(headline)]
    for title, sentences in parts.items():
        if brief and title != answer.SECTIONS[0]:
            continue
        said.append("\n".join([title, *(_wrapped(each.text, "- ") for each in sentences)]))
    return "\n\n".join(said)


def _wrapped(text: str, mark: str = "") -> str:
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    return textwrap.fill(
        text,
        width,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
