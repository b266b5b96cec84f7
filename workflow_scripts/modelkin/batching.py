"""How many images at a time: enough to be fast, few enough for memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from modelkin.errors import ModelkinError

LOG = logging.getLogger("modelkin")


class MemoryFittingBatches:
    """Calls a function with a batch, in parts where memory runs out; the size that fitted is remembered."""

    def __init__(self):
        self.rows: int | None = None

    def __call__(self, function: Callable[..., Any], *batch: torch.Tensor) -> list[Any]:
        """function's values of the parts of a batch, in order: one if all fits.

        batch: tensors (b, ...) that are cut alike. Raises ModelkinError if one sample does not fit.
        """
        while True:
            parts = zip(*(values.split(self.rows or max(1, len(values))) for values in batch), strict=True)
            try:
                return [function(*part) for part in parts]
            except torch.OutOfMemoryError:
                tried = min(self.rows or len(batch[0]), len(batch[0]))
            # Here the traceback is gone, and with it what the failed pass held.
            if tried == 1:
                raise ModelkinError(
                    "not even one image fits in the device's memory beside the model; use device: cpu, or a "
                    "GPU with more memory that nothing else uses."
                )
            self.rows = tried // 2
            torch.cuda.empty_cache()
            LOG.info("memory ran out at %d images; %d at a time from now on", tried, self.rows)


def batch_rows(size: int, device: torch.device | str = "cpu") -> int:
    """How many images of that size to give a model at once: enough to be fast, few enough for memory."""
    # A GPU's batch may be too large: modelkin.batching.MemoryFittingBatches then finds one that is not.
    pixels = 2**25 if torch.device(device).type == "cuda" else 2**18
    return min(500, max(1, pixels // size**2))
