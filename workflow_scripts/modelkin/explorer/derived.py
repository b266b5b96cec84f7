"""Tables that the answer rests on and that a study does not keep: means of levels, agreement of measures."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from modelkin.analysis import level_means, measure_agreement


def directions(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Whether each measure of a study is a similarity or a distance."""
    return dict(tables["measures"][["measure", "direction"]].itertuples(index=False))


def with_derived(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add level_means, level_differences and measure_agreement to a study's tables.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By name: similarity, models and measures at least.

    Returns
    -------
    dict of str to DataFrame
        The tables and what follows from them, as :func:`modelkin.explorer.page` and
        :func:`modelkin.explorer.answer.answer` take them.
    """
    similarity, models = tables["similarity"], tables["models"]
    return {
        **tables,
        "level_means": level_means.level_means(similarity, models),
        "level_differences": level_means.level_differences(similarity, models),
        "measure_agreement": measure_agreement.measure_agreement(similarity, models, directions(tables)),
    }
