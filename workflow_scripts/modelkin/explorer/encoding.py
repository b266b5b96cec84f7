"""Tables and images in the compact form in which a page holds them: text that is safe inside HTML.

It knows neither models nor measures.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

SHARP_UP_TO = 32  # pixels a side up to which an image is kept exactly
QUALITY = 82  # of the JPEG that larger ones become
WHOLE = 2**31


def encoded_table(frame: pd.DataFrame) -> dict[str, Any]:
    """Encode a table column by column.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    dict
        ``rows``, their number, and ``columns``: for each its name and numbers (``data``, little-endian in
        base64, of the ``type`` float32, float64, int8, int16 or int32; NaN where there is none). A column of
        text has ``words``, and its numbers are places among them (-1 where there is none).
    """
    return {"rows": len(frame), "columns": [_column(str(name), frame[name]) for name in frame]}


def _column(name: str, values: pd.Series) -> dict[str, Any]:
    if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        codes, words = pd.factorize(values)
        plain = [word if isinstance(word, bool) else str(word) for word in words.tolist()]
        return {"name": name, "words": plain, **_integers(codes)}
    numbers = values.to_numpy(float, na_value=np.nan)
    if pd.api.types.is_integer_dtype(values.dtype) and np.abs(numbers).max(initial=0) < WHOLE:
        return {"name": name, **_integers(numbers)}
    # 24 bits hold every whole number up to 2 ** 24; larger ones, as of parameters, need more.
    small = np.nanmax(np.abs(numbers), initial=0) < 2**24
    kind = "float32" if small else "float64"
    return {"name": name, "type": kind, "data": base64_of(numbers.astype("<f4" if small else "<f8"))}


def _integers(numbers: np.ndarray) -> dict[str, str]:
    """Whole numbers in as few bits as hold them."""
    bits = next(bits for bits in (8, 16, 32) if np.abs(numbers).max(initial=0) < 2 ** (bits - 1))
    return {"type": f"int{bits}", "data": base64_of(numbers.astype(f"<i{bits // 8}"))}


def base64_of(values: np.ndarray | bytes) -> str:
    """Encode the bytes of an array, or bytes, as text.

    Parameters
    ----------
    values : ndarray or bytes

    Returns
    -------
    str
    """
    return base64.b64encode(values if isinstance(values, bytes) else values.tobytes()).decode("ascii")


def strip(images: np.ndarray, side: int) -> str:
    """Put images side by side into one picture.

    Parameters
    ----------
    images : ndarray of float, shape (n, c, h, w)
        In [0, 1]; of one channel or three.
    side : int
        Pixels a side of each image in the picture; larger ones are made smaller, smaller ones are kept.

    Returns
    -------
    str
        A data URI: a PNG file of n images in a row if they are small, else a JPEG file.
    """
    side = min(side, max(images.shape[2:]))
    pixels = (np.clip(images, 0, 1) * 255).round().astype(np.uint8)
    if pixels.shape[1] != 1:
        pixels = pixels[:, :3]
    whole = Image.new("L" if pixels.shape[1] == 1 else "RGB", (side * len(pixels), side))
    for place, image in enumerate(pixels):
        one = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1))
        if one.size != (side, side):
            one = one.resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(one, (place * side, 0))
    stream = io.BytesIO()
    sharp = side <= SHARP_UP_TO
    whole.save(stream, "PNG", optimize=True) if sharp else whole.save(stream, "JPEG", quality=QUALITY)
    return f"data:image/{'png' if sharp else 'jpeg'};base64,{base64_of(stream.getvalue())}"


def embedded_json(data: Mapping[str, Any] | Sequence[Any]) -> str:
    """Write data as JSON that can stand in a script element of a page.

    Parameters
    ----------
    data : mapping or sequence
        Of finite numbers, text and the like.

    Returns
    -------
    str
        Without any <, > or &, nor line separators that old browsers take for ends of lines.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
