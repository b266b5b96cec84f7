"""``python -m benchmarks [name ...]``: run them, print one table, and with --write keep it in RESULTS.md."""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

NAMES = (
    "inversion",
    "attacks",
    "measures",
    "activations",
    "layers",
    "graphs",
    "compiled",
    "memory",
    "scale",
    "workflow",
)
ASKED_FOR = ("graphs", "compiled", "scale")  # minutes, and nothing that changes from day to day
UNITS = {"x as fast": ">=", "x the time": "<=", "of the time": "<=", "s": "<=", "jobs": "<=", "GB": "<="}


def written(row) -> str:
    ratio = f"{row.ratio:.0f}" if row.unit == "jobs" else f"{row.ratio:.2f}"
    target = "" if row.target is None else f"{UNITS[row.unit]} {row.target:g}"
    met = {True: "yes", False: "**no**", None: ""}[row.met]
    notes = "; ".join(note for note in (row.checked, "" if row.met else row.limit) if note)
    return f"| {row.what} | {row.against} | {ratio} {row.unit} | {target} | {met} | {notes} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    usual = [name for name in NAMES if name not in ASKED_FOR]
    told = f"any of {', '.join(NAMES)}; all but {', '.join(ASKED_FOR)} if none is named"
    parser.add_argument("names", nargs="*", default=usual, help=told)
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/RESULTS.md")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    lines = [
        "| what | against | found | target | met | checked, or what stops it |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    start = time.perf_counter()
    for name in arguments.names:
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            lines.append(written(row))
            print(lines[-1], flush=True)
    minutes = (time.perf_counter() - start) / 60
    about = (
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{arguments.threads} threads, torch {torch.__version__}, {minutes:.1f} minutes."
    )
    print(about)
    if arguments.write:
        head = "# Benchmarks\n\n`make bench` measures these side by side on one machine.\n"
        Path(__file__).with_name("RESULTS.md").write_text("\n".join([head, about, "", *lines]) + "\n")


if __name__ == "__main__":
    main()
