"""What every script needs around its work: a log, progress, a device, what its manifest says of it."""

from modelkin.jobs.devices import job_device
from modelkin.jobs.models import configured_untrained_weights, load_configured_model
from modelkin.jobs.progress import Progress
from modelkin.jobs.running import STARTED_BY, manifest_settings, running_job

__all__ = [
    "STARTED_BY",
    "Progress",
    "configured_untrained_weights",
    "job_device",
    "load_configured_model",
    "manifest_settings",
    "running_job",
]
