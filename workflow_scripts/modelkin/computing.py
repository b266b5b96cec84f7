"""How numbers are computed on a device: in which precision, and in batches that its memory holds.

It knows nothing of models or files. The precision is the process's, as torch's own switches are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from modelkin.errors import ModelkinError

LOG = logging.getLogger("modelkin")
# float32: every product in full; tf32: products of 10-bit mantissas on GPUs that have them; bf16: networks
# in mixed precision; images, losses and measures stay in float32.
PRECISIONS = ("float32", "tf32", "bf16")
_precision = "float32"


def use(precision: str) -> None:
    """Compute with one of :data:`PRECISIONS` from now on, in this process."""
    global _precision
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"
    _precision = precision


def autocast(device: torch.device) -> torch.autocast:
    """The context in which networks run."""
    return torch.autocast(device.type, torch.bfloat16, enabled=_precision == "bf16")


def named(device: torch.device) -> str:
    """Device and, if it is not float32, precision, for manifests."""
    return device.type if _precision == "float32" else f"{device.type} {_precision}"


class Fitting:
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
