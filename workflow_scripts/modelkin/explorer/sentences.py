"""What a sentence of the answer is: words, links into the page, and the evidence that it rests on."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode


class Link(NamedTuple):
    """Words that lead to a place of the page."""

    text: str
    target: str


class Sentence(NamedTuple):
    """A sentence of the answer.

    Attributes
    ----------
    section : str
    words : sequence of str or Link
    evidence : sequence of Link
        Where the numbers stand.
    tone : {"finding", "nothing", "warning"}
        Whether something was found, nothing was, or a reader is to be careful.
    """

    section: str
    words: Sequence[str | Link]
    evidence: Sequence[Link] = ()
    tone: str = "finding"

    @property
    def text(self) -> str:
        """The sentence without its links."""
        return "".join(word.text if isinstance(word, Link) else word for word in self.words)

    def words_html(self) -> str:
        """The sentence's words with their links; all are escaped."""
        return "".join(_html(word) for word in self.words)

    def html(self) -> str:
        """The sentence with its links and its evidence, as an item of a list."""
        evidence = "".join(f'<span class="evidence">{_html(link)}</span>' for link in self.evidence)
        return f'<li class="{self.tone}"><span>{self.words_html()}</span> {evidence}</li>'


def _html(word: str | Link) -> str:
    if isinstance(word, Link):
        return f'<a href="{html.escape(word.target)}">{html.escape(word.text)}</a>'
    return html.escape(word)


def place(view: str, **state: object) -> str:
    """The address of a view of the page in a state, to stand behind the page's own."""
    kept = {key: str(value) for key, value in state.items() if value is not None}
    return f"#{view}" + (f"?{urlencode(kept, quote_via=quote)}" if kept else "")


def model(name: str) -> Link:
    """A model's name, leading to the model."""
    return Link(name, place("model", name=name))


def pair(a: str, b: str, **state: object) -> Link:
    """Two models' names, leading to the pair."""
    return Link(f"{a} and {b}", place("pair", a=a, b=b, **state))


def listed(words: Iterable[str | Link], most: int = 6) -> list[str | Link]:
    """Words with commas between them, as many as can be read, and how many more there are."""
    every = list(words)
    shown: list[str | Link] = []
    for word in every[:most]:
        shown += [", ", word] if shown else [word]
    return shown + ([f" and {len(every) - most} more"] if len(every) > most else [])


def number(value: float) -> str:
    """A number as it is read: two places, more for what would be 0 by them, a true minus."""
    if value is None or not math.isfinite(value):
        return "unknown"
    text = f"{value:.2f}" if value == 0 or abs(value) >= 0.095 else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}")


def interval(low: float, high: float) -> str:
    """A 95 % interval; nothing where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f" [{number(low)}, {number(high)}]"


def count(how_many: int, one: str, many: str | None = None) -> str:
    """So many things, in words."""
    return f"{how_many} {one if how_many == 1 else many or one + 's'}"
