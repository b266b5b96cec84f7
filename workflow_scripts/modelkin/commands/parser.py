"""The commands and what each is given."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelkin import __version__, lazy
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    from modelkin.commands import answering, beginning, checking, listing, sharing, workflow
    from modelkin.operations import before_running
    from modelkin.operations.bundle import merging, placing
    from modelkin.study import config as study_config
    from modelkin.study import untrusted
    from modelkin.study.config import Study
else:  # each command waits for what it needs alone
    answering, beginning, checking, listing, sharing, workflow = (
        lazy.module(f"modelkin.commands.{name}")
        for name in ("answering", "beginning", "checking", "listing", "sharing", "workflow")
    )
    before_running = lazy.module("modelkin.operations.before_running")
    merging = lazy.module("modelkin.operations.bundle.merging")
    placing = lazy.module("modelkin.operations.bundle.placing")
    study_config = lazy.module("modelkin.study.config")
    untrusted = lazy.module("modelkin.study.untrusted")

CONFIG = "config.yaml"
LISTS = ("models", "measures", "datasets", "attacks")
# Commands that start Snakemake, by what it is to make ('' for all), and what each is for.
OF_SNAKEMAKE = {
    "run": "run a study, then say what it found",
    "plan": "say what a study will cost, before anything runs",
    "verify": "read every byte of a study again: is it whole, and what the config asks for?",
    "bundle": "the whole study as one file, and how to deposit it",
}
OF_ONE_JOB = ("plan", "verify")
PASSED_ON = (
    "usage: modelkin {command} [CONFIG] [ARGUMENT ...]\n\n{about}.\n\nCONFIG is config.yaml by default. What "
    "follows goes to Snakemake as it is typed:\n`modelkin {command} my.yaml {example}` is\n"
    "`snakemake {target}{cores} {example} --configfile my.yaml`."
)
EXAMPLES = {
    "run": "--until evaluate",
    "plan": "--config plan_teraflops=30",
    "verify": "--quiet",
    "bundle": "--config 'bundle={without: [dataset]}'",
}
DESCRIPTION = """\
Which of my models have learned the same thing?

  modelkin init --checkpoints runs/ --architecture nets.py:resnet20 --dataset data/test.npz
  modelkin check
  modelkin plan
  modelkin run
  modelkin explore"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks; end with its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and given[0] in OF_SNAKEMAKE:
            status = _of_snakemake(given[0], given[1:])
        else:
            status = _other(_parser().parse_args(given))
    except ModelkinError as error:
        sys.exit(str(error))
    except BrokenPipeError:  # whoever read the list has read enough
        sys.stderr.close()
        status = 0
    if status:
        sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelkin", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"modelkin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_init(commands)
    for what in LISTS:
        one = commands.add_parser(what, help=f"list the {what} that a config can name")
        one.add_argument("words", nargs="*", metavar="WORD", help="only those that have all these words")
    check = commands.add_parser("check", help="check a config in seconds, with all that a run would refuse")
    check.add_argument("config", nargs="?", metavar="CONFIG", help="config.yaml by default")
    for command, about in OF_SNAKEMAKE.items():
        commands.add_parser(command, help=about)
    explore = commands.add_parser("explore", help="say what a finished study found, and open its explorer")
    explore.add_argument("config", nargs="?", metavar="CONFIG", help="config.yaml by default")
    explore.add_argument("--no-browser", action="store_true", help="only say it, and where the page is")
    unpacking = commands.add_parser("unpack", help="check a bundle and put its study into this folder")
    unpacking.add_argument("file")
    merging = commands.add_parser(
        "merge", help="make one study of two, each a bundle or a config of this folder"
    )
    merging.add_argument("first")
    merging.add_argument("second")
    merging.add_argument("--study", required=True, help="name of the new study")
    trusting = commands.add_parser("trust", help="let entries of a config run and read what they name")
    trusting.add_argument("names", nargs="+", metavar="NAME", help="a model, a dataset, a table")
    trusting.add_argument(
        "--config", required=True, metavar="FILE", help="the config in which they are untrusted"
    )
    return parser


def _add_init(commands) -> None:
    init = commands.add_parser(
        "init",
        help="begin a study: write its config",
        description="Write the config of a new study; what is not given is asked for, on a terminal. "
        "Without checkpoints and models, small networks are trained on scikit-learn's digits.",
    )
    init.add_argument("config", nargs="?", default=CONFIG, metavar="CONFIG", help="to write; config.yaml")
    init.add_argument("--study", metavar="NAME", help="results stand in results/NAME; the folder's name")
    init.add_argument("--checkpoints", nargs="+", default=[], metavar="PATH", help="folders or files")
    init.add_argument(
        "--architecture",
        nargs="+",
        default=[],
        metavar="[PATTERN=]ARCHITECTURE",
        help="nets.py:callable, nets.py:TABLE[key], timm:name or torchvision:name; with a pattern, of "
        "files that fit it: 'resnet*=nets.py:resnet20'",
    )
    init.add_argument(
        "--models", nargs="+", default=[], metavar="SOURCE:NAME", help="as in timm:resnet50.a1_in1k"
    )
    init.add_argument(
        "--dataset", default="", metavar="DATA", help="an .npz file, a folder, or a name: cifar10"
    )
    init.add_argument("--size", type=int, metavar="PIXELS", help="to which images of a folder are scaled")
    init.add_argument("--mean", nargs="+", type=float, default=[], help="normalisation, for each channel")
    init.add_argument("--std", nargs="+", type=float, default=[])
    init.add_argument("--digits", action="store_true", help="ask nothing: train small networks on digits")


def _of_snakemake(command: str, rest: list[str]) -> int:
    if {"-h", "--help"} & {*rest}:
        target = "" if command == "run" else f"{command} "
        cores = "--cores 1" if command in OF_ONE_JOB else "--cores 8"
        about = OF_SNAKEMAKE[command].capitalize()
        print(
            PASSED_ON.format(
                command=command, about=about, target=target, cores=cores, example=EXAMPLES[command]
            )
        )
        return 0
    named = rest[0] if rest and not rest[0].startswith("-") else None
    config, passed = workflow.config_file(named), rest[named is not None :]
    resources = workflow.default_resources(passed, all_cores=command not in OF_ONE_JOB)
    asked = [] if command == "run" else [command]
    status = workflow.run_snakemake(config, [*asked, *resources, *passed])
    if status or {"-n", "--dry-run", "--dryrun"} & {*passed}:
        return status
    if command == "run" and answering.is_finished(study := _study(config)):
        _say_answer(study, brief=True)
    elif command == "bundle":
        print(sharing.deposit_text(_study(config)))
    return 0


def _other(given: argparse.Namespace) -> int:
    if given.command in LISTS:
        print(listing.listed(given.command, given.words))
    elif given.command == "init":
        _init(given)
    elif given.command == "check":
        return _check(given.config)
    elif given.command == "explore":
        _explore(given)
    elif given.command == "unpack":
        print(sharing.unpacked_text(placing.unpack(given.file)))
    elif given.command == "trust":
        for each in untrusted.trust_in_file(given.config, given.names):
            print(f"{each.name} is trusted: it {sharing.listed(each.does)}.")
    else:
        print(merging.merge_studies(given.first, given.second, given.study))
    return 0


def _init(given: argparse.Namespace) -> None:
    folder = beginning.NOT_IN_NAMES.sub("-", Path(given.config).absolute().parent.name).strip("-.")
    name = given.study or (folder if given.config == CONFIG else Path(given.config).stem)
    answers = beginning.Answers(
        name or "study",
        given.checkpoints,
        given.architecture,
        given.models,
        given.dataset,
        given.size,
        given.mean,
        given.std,
    )
    if not given.digits and sys.stdin.isatty():
        answers = beginning.ask(answers, input)
    elif not (given.digits or given.checkpoints or given.models):
        raise ModelkinError(
            "nobody is here to be asked; name --checkpoints or --models and a --dataset, or --digits for a "
            "study of small networks that are trained here."
        )
    if (answers.checkpoints or answers.models) and not answers.dataset:
        raise ModelkinError("name the images to compare on: --dataset with an .npz file, a folder or a name.")
    beginning.begin(given.config, answers)
    own = "" if given.config == CONFIG else f" {given.config}"
    study, lacking = checking.checked(given.config)
    print(f"Wrote {given.config}.", checking.summary(study), *lacking, sep="\n")
    print(f"Next: `modelkin plan{own}` says what it costs, `modelkin run{own}` runs it.")


def _check(given: str | None) -> int:
    config = workflow.config_file(given)
    study, lacking = checking.checked(config)
    print(checking.summary(study))
    if lacking:
        print("Before it can run:", *lacking, sep="\n", file=sys.stderr)
        return 1
    print(f"{config} is fine.")
    return 0


def _explore(given: argparse.Namespace) -> None:
    study = _study(workflow.config_file(given.config))
    page = answering.explorer_page(study)
    _say_answer(study)
    if not given.no_browser:
        webbrowser.open(page.absolute().as_uri())


def _study(config: Path) -> Study:
    return before_running.configured_study(study_config.load_config(config))


def _say_answer(study: Study, brief: bool = False) -> None:
    """Print what a finished study has found."""
    page = answering.explorer_page(study)
    print(f"\n{answering.answer_text(study, brief)}\n\nEvery number: {page}")
    if brief:
        print("`modelkin explore` says more, and opens it.")
