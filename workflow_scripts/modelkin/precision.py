"""How numbers are computed on a device: in which precision, and in batches that its memory holds.

It knows nothing of models or files. The precision is the process's, as torch's own switches are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

# float32: every product in full; tf32: products of 10-bit mantissas on GPUs that have them; bf16: networks
# in mixed precision; images, losses and measures stay in float32.
PRECISIONS = ("float32", "tf32", "bf16")
_precision = "float32"


def use_precision(precision: str) -> None:
    """Compute with one of :data:`PRECISIONS` from now on, in this process."""
    global _precision
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"
    _precision = precision


def autocast(device: torch.device) -> torch.autocast:
    """The context in which networks run."""
    return torch.autocast(device.type, torch.bfloat16, enabled=_precision == "bf16")


@contextlib.contextmanager
def full_products(device: torch.device) -> Iterator[None]:
    """The context in which matrix products are in full precision, whatever networks run in."""
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed


def describe_device(device: torch.device) -> str:
    """Device and, if it is not float32, precision, for manifests."""
    return device.type if _precision == "float32" else f"{device.type} {_precision}"
