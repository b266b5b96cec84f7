"""What is said of studies that are taken in or given away."""

from __future__ import annotations

from modelkin.operations.bundle import RESULTS, Bundle
from modelkin.store import paths
from modelkin.study import untrusted
from modelkin.study.config import Study


def unpacked_text(bundle: Bundle) -> str:
    """What came with a bundle, what did not, and what is not run before its reader says so."""
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
        lines += [f"  {each.name} {listed(each.does)}" for each in reaching]
    lines.append(f"Go on with: snakemake --cores 2 --configfile {bundle.name}.yaml")
    return "\n".join(lines)


def listed(does: list[str]) -> str:
    """What an entry does, on one line whatever a stranger wrote there."""
    return "".join(char if char.isprintable() else "?" for char in ", ".join(does))


def deposit_text(study: Study) -> str:
    """Where a study's bundle is, and how to deposit it so that it can be cited."""
    bundle = paths.study_folder(study.name).with_suffix(".zip")
    licence = study.section("bundle").get("license")
    asked = (
        f"its licence is {licence}"
        if licence
        else "it names no licence yet: bundle: {license: https://creativecommons.org/licenses/by/4.0/}"
    )
    return (
        f"{bundle} ({bundle.stat().st_size / 1e6:,.1f} MB) is an RO-Crate; {asked}.\n"
        "To deposit it: upload the file as a dataset to Zenodo (or your institution's archive), cite there\n"
        "modelkin and the papers of CITATION.cff, and put the DOI that you are given into your paper.\n"
        f"Whoever has the file takes it in with `modelkin unpack {bundle.name}`."
    )
