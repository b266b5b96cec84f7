"""The device of a job, and the precision in which it computes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from modelkin import lazy
from modelkin.errors import ModelkinError
from modelkin.jobs import gpus
from modelkin.jobs.running import LOG

# Jobs that only draw or make tables need no torch.
precision = lazy.module("modelkin.precision")


def job_device(config: Mapping[str, Any]):
    """The torch device of the config's ``device``; ModelkinError if this machine lacks it.

    Of several GPUs it is one that no other job uses: see :func:`modelkin.jobs.gpus.claim_gpu`. The config's
    ``precision`` holds from then on.
    """
    import torch

    name = config.get("device", "auto")
    precision.use_precision(config.get("precision", "float32"))

    # Results must not depend on how many cores happen to be free.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    claimed = None
    if name != "cpu" and torch.backends.cuda.is_built():
        claimed = gpus.claim_gpu(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    elif claimed is not None:
        name = "cuda"  # the one that CUDA now sees
    found = torch.device(name)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ModelkinError(
            f"device: {name} was asked for, but this machine has no usable GPU; use cpu or auto."
        )
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ModelkinError(
            f"device: {name} does not exist; this machine has {torch.cuda.device_count()} GPUs."
        )
    if name == "cuda" and claimed is None and torch.cuda.device_count() > 1:
        LOG.warning("there is no nvidia-smi to tell this machine's GPUs apart: all jobs use the first one")
    return found
