"""Distil one teacher into the student, several times."""

import pandas as pd

from modelkin import computing, images, jobs, models, seeds, tables, training
from modelkin.distillation import Distillation

with jobs.running(snakemake.log[0], f"distill {snakemake.wildcards.teacher}", snakemake.input) as log:
    settings = dict(snakemake.params.distillation)
    repeats = settings.pop("repeats")
    device = jobs.device(snakemake.config)
    teacher = models.load_model(snakemake.input.teacher, device, snakemake.params.resize)
    train, test = (images.load(snakemake.input.dataset, name) for name in ("train", "test"))
    telling = jobs.Progress(repeats, "students")
    rows = []
    for repeat in range(repeats):
        # The same seeds for every teacher: students differ by their teachers alone.
        student, _ = training.train(
            train,
            test,
            snakemake.params.student,
            seed=seeds.derive(snakemake.params.seed, "distill", str(repeat)),
            objective=Distillation(**settings).objective(teacher),
            device=device,
        )
        rows.append(
            {
                "teacher": snakemake.wildcards.teacher,
                "repeat": repeat,
                "student_accuracy": training.accuracy(student, test, device),
                "teacher_agreement": training.agreement(student, teacher, test, device),
            }
        )
        telling(repeat + 1)
    log.info("%s", rows)
    tables.write(
        snakemake.output[0],
        pd.DataFrame(rows),
        stage="distill",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[snakemake.input.dataset, snakemake.input.teacher],
        device=computing.named(device),
    )
