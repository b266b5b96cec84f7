"""The command line: python -m modelkin unpack | merge | trust."""

from __future__ import annotations

import argparse
import sys

from modelkin.errors import ModelkinError
from modelkin.operations.bundle import RESULTS, Bundle, unpack
from modelkin.operations.bundle.merging import merge_studies
from modelkin.study import untrusted


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m modelkin", description="Studies as files; see docs/sharing.md."
    )
    commands = parser.add_subparsers(dest="command", required=True)
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
    given = parser.parse_args(arguments)
    try:
        if given.command == "unpack":
            print(_unpacked(unpack(given.file)))
        elif given.command == "trust":
            for each in untrusted.trust_in_file(given.config, given.names):
                print(f"{each.name} is trusted: it {_listed(each.does)}.")
        else:
            print(merge_studies(given.first, given.second, given.study))
    except ModelkinError as error:
        sys.exit(str(error))


def _unpacked(bundle: Bundle) -> str:
    out = bundle.left_out
    lines = [f"{RESULTS}/{bundle.name} and {bundle.name}.yaml: {len(bundle.manifests)} artifacts, all whole."]
    if out:
        lines.append(
            f"{len(out)} of them came without their store; what is made of these needs a bundle with them."
        )
    reaching = untrusted.still_untrusted(bundle.config)
    if reaching:
        lines.append(
            f"{len(reaching)} entries of its config are untrusted, and no job touches them until you say so "
            f"with: {untrusted.COMMAND} NAME --config {bundle.name}.yaml"
        )
        lines += [f"  {each.name} {_listed(each.does)}" for each in reaching]
    lines.append(f"Go on with: snakemake --cores 2 --configfile {bundle.name}.yaml")
    return "\n".join(lines)


def _listed(does: list[str]) -> str:
    """What an entry does, on one line whatever a stranger wrote there."""
    return "".join(char if char.isprintable() else "?" for char in ", ".join(does))


if __name__ == "__main__":
    main()
