"""Distil one teacher into the student, several times."""

import pandas as pd

from modelkin import jobs, precision, seeds
from modelkin.data.images import load_images
from modelkin.store import frames
from modelkin.training import evaluation, fit
from modelkin.training.distillation import Distillation

with jobs.running_job(snakemake.log[0], f"distill {snakemake.wildcards.teacher}", snakemake.input) as log:
    settings = dict(snakemake.params.distillation)
    repeats = settings.pop("repeats")
    device = jobs.job_device(snakemake.config)
    teacher = jobs.load_configured_model(
        snakemake.config, snakemake.input.teacher, device, snakemake.params.resize
    )
    train, test = (load_images(snakemake.input.dataset, name) for name in ("train", "test"))
    telling = jobs.Progress(repeats, "students")
    rows = []
    for repeat in range(repeats):
        # The same seeds for every teacher: students differ by their teachers alone.
        student, _ = fit.train(
            train,
            test,
            snakemake.params.student,
            seed=seeds.derive_seed(snakemake.params.seed, "distill", str(repeat)),
            objective=Distillation(**settings).objective(teacher),
            device=device,
        )
        rows.append(
            {
                "teacher": snakemake.wildcards.teacher,
                "repeat": repeat,
                "student_accuracy": evaluation.model_accuracy(student, test, device),
                "teacher_agreement": evaluation.model_agreement(student, teacher, test, device),
            }
        )
        telling(repeat + 1)
    log.info("%s", rows)
    frames.write(
        snakemake.output[0],
        pd.DataFrame(rows),
        stage="distill",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.dataset, snakemake.input.teacher],
        device=precision.describe_device(device),
    )
