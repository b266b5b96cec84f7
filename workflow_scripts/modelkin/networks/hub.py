"""Which revision of a name at the Hugging Face hub is on this machine.

A name there may mean other weights tomorrow. It asks the cache of huggingface_hub, never the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

SCHEME = "hf-hub:"
PART = r"[\w-][\w.-]*"  # of a path that leads nowhere else
NAME = re.compile(rf"{SCHEME}{PART}(/{PART})?(@{PART}(/{PART})*)?")


def cached_revision(name: str) -> str | None:
    """The commit that ``hf-hub:owner/name`` or ``hf-hub:owner/name@branch`` is at, None if none is here.

    A name that holds a commit itself is always at that. Of what is no name, as a stranger's manifest may call
    one, nothing is here.
    """
    if NAME.fullmatch(name) is None:
        return None
    from huggingface_hub.constants import HF_HUB_CACHE  # slow to import, and seldom asked for

    repository, _, branch = name.removeprefix(SCHEME).partition("@")
    folder = Path(HF_HUB_CACHE, f"models--{repository.replace('/', '--')}")
    if branch and (folder / "snapshots" / branch).is_dir():
        return branch
    known = folder / "refs" / (branch or "main")
    return known.read_text().strip() if known.is_file() else None


def described(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """At which revisions these names are, as a manifest keeps it; of those alone of which one is here."""
    found = {name: cached_revision(name) for name in names}
    return {name: {"revision": revision} for name, revision in found.items() if revision is not None}


def has_moved(name: str, revision: str) -> bool:
    """Whether a name that was at that revision is at another one now; not if none is here any more."""
    return cached_revision(name) not in (None, revision)


def moved_sentence(name: str, revision: str, manifest: str) -> str:
    """What to tell the user of a name that has moved since a model was made of it."""
    pinned = f"{name.partition('@')[0]}@{revision}"
    return (
        f"{name} is at revision {cached_revision(name)} on this machine, and {manifest} was made of "
        f"{revision}; download that again, or delete that manifest and run again to make it and all that "
        f"rests on it anew (`architecture: {pinned}` never moves)."
    )
