"""The page: one file that asks nobody for anything, in which what comes from outside is text."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_study import models_of, similarity_of, tables_of

from modelkin.explorer import encoding
from modelkin.explorer.page import POLICY, Pictures, page

EVIL = "</script><script>alert(1)</script>"


def decoded(column):
    """A column of an encoded table, as the page reads it."""
    values = np.frombuffer(base64.b64decode(column["data"]), np.dtype(column["type"]).newbyteorder("<"))
    if "words" not in column:
        return values
    return [None if code < 0 else column["words"][code] for code in values]


def test_a_table_is_read_back_as_it_was():
    frame = pd.DataFrame(
        {
            "name": ["a", None, "c"],
            "flag": [True, False, True],
            "share": [0.1, np.nan, -3e-9],
            "count": [1, 2, 40_000],
            "large": [1.5e12, 2.0, np.nan],
        }
    )
    encoded = encoding.encoded_table(frame)
    read = {column["name"]: decoded(column) for column in encoded["columns"]}
    assert encoded["rows"] == 3
    assert read["name"] == ["a", None, "c"]
    assert read["flag"] == [True, False, True]
    np.testing.assert_allclose(read["share"], frame["share"], rtol=1e-7)
    assert read["count"].tolist() == [1, 2, 40_000]
    np.testing.assert_array_equal(read["large"], frame["large"])


@given(st.text())
def test_text_in_json_cannot_end_its_element(text):
    written = encoding.embedded_json({"text": text})
    assert json.loads(written) == {"text": text}
    assert not re.search(r"[<>&\u2028\u2029]", written)


def test_what_is_not_a_number_has_no_place_in_json():
    with pytest.raises(ValueError, match="Out of range"):
        encoding.embedded_json([float("nan")])


@pytest.mark.parametrize(("side", "kind"), [(16, "png"), (40, "jpeg")])
def test_a_strip_holds_every_image(side, kind):
    made = encoding.strip(np.random.default_rng(0).random((3, 3, side, side)), 96)
    assert made.startswith(f"data:image/{kind};base64,")


def test_the_page_is_one_file_in_which_names_are_text():
    models = models_of(3).assign(architecture=EVIL)
    models.loc[0, "name"] = EVIL
    tables = tables_of(models, similarity_of(models, lambda *_: 0.5))
    pictures = Pictures({"seed": np.zeros((2, 1, 8, 8))}, {"seed": {"label": [EVIL, "1"]}})
    text = page(EVIL, tables, orders={}, pictures=pictures)
    assert f'content="{POLICY}"' in text
    assert POLICY.startswith("default-src 'none'")
    assert "alert(1)</script>" not in text
    assert text.count("</script>") == 3, "plotly's, the data's and the page's own"
    assert not re.search(
        r"""(src|href)=["'](https?:)?//""", re.sub(r"<script.*?</script>", "", text, flags=re.S)
    )
    assert text == page(EVIL, tables, orders={}, pictures=pictures), "the same study gives the same bytes"
