"""A study described as an RO-Crate: what there is, what it was made of, and by which software.

https://www.researchobject.org/ro-crate/ is the form; it is made of manifests alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from modelkin.operations import verify
from modelkin.store.manifests import LEFT_OUT

UNLICENSED = "No licence is stated: ask the authors before using this."
FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".md": "text/markdown",
    ".html": "text/html",
    ".json": "application/json",
    ".yaml": "application/yaml",
    LEFT_OUT: "text/plain",
}
PAGES = {
    "python": "https://www.python.org/",
    "torch": "https://pytorch.org/",
    "numpy": "https://numpy.org/",
    "zarr": "https://zarr.dev/",
    "xarray": "https://xarray.dev/",
    "pandas": "https://pandas.pydata.org/",
    "scikit-learn": "https://scikit-learn.org/",
}


def crate_text(
    study: str,
    manifests: Mapping[str, Mapping[str, Any]],
    sizes: Mapping[str, int],
    *,
    folder: str,
    beside: Mapping[str, str],
    left_out: Iterable[str] = (),
    license: str | None = None,
) -> str:
    """The text of ``ro-crate-metadata.json`` for a study.

    manifests: by their paths below ``folder``, where the study stands in the crate. sizes: bytes of the
    crate's files, as far as they are known. beside: other files of the crate, with what they are. left_out:
    manifests whose stores are not in it.
    """
    crate = ROCrate()
    crate.name = f"modelkin study '{study}'"
    crate.description = (
        f"Trained image classifiers compared by modelkin: {len(manifests)} artifacts of the study '{study}', "
        "each with a manifest that says what it was made of."
    )
    about = {"@type": "CreativeWork", "name": license or "none", "description": license or UNLICENSED}
    crate.license = crate.add(ContextEntity(crate, "#license", about))
    for name, description in beside.items():
        about = {"name": name, "description": description}
        crate.add_file(dest_path=name, properties=about | _file(name, sizes))
    stores = {name: _store(crate, folder, name, made, left_out, sizes) for name, made in manifests.items()}
    for name, made in manifests.items():
        crate.root_dataset.append_to("mentions", _making(crate, name, made, stores))
    return json.dumps(crate.metadata.generate(), indent=1, sort_keys=True) + "\n"


def _store(crate: ROCrate, folder: str, name: str, made: Mapping[str, Any], left_out, sizes):
    """The entity of an artifact's store; its manifest becomes one too."""
    store = verify.store_of(name, made)
    about = {
        "name": store,
        "description": f"made by stage '{made['stage']}', version {made['version']}",
        "identifier": f"sha256:{made['digest']}",
    }
    if name in left_out:
        origin = f"; {made['facts']['origin']}" if made["facts"].get("origin") else ""
        about |= {"@type": "CreativeWork", "description": f"left out of this bundle{origin}"}
        entity = crate.add(ContextEntity(crate, f"#left-out/{store}", about))
        mark = f"{folder}/{verify.mark_of(name)}"
        said = {"name": mark, "description": f"stands in place of {store}", "about": entity}
        crate.add_file(dest_path=mark, properties=said | _file(mark, sizes))
    elif made["suffix"] in FORMATS:
        path = f"{folder}/{store}"
        entity = crate.add_file(dest_path=path, properties=about | _file(path, sizes))
    else:
        entity = crate.add_dataset(dest_path=f"{folder}/{store}", properties=about)
    path = f"{folder}/{name}"
    said = {"name": name, "description": f"manifest of {store}", "about": entity}
    crate.add_file(dest_path=path, properties=said | _file(path, sizes))
    return entity


def _making(crate: ROCrate, name: str, made: Mapping[str, Any], stores: Mapping[str, Any]) -> ContextEntity:
    """The action by which an artifact was made: of these, by that software."""
    action = crate.add(
        ContextEntity(
            crate,
            f"#make/{name.removesuffix('.json')}",
            {"@type": "CreateAction", "name": f"{made['stage']}: {name.removesuffix('.json')}"},
        )
    )
    action["instrument"] = _software(crate, made["software"])
    sources = [stores[source] for source in verify.inputs(name, made)]
    if sources:
        action["object"] = sources if len(sources) > 1 else sources[0]
    action["result"] = stores[name]
    return action


def _software(crate: ROCrate, versions: Mapping[str, str]) -> ContextEntity:
    """modelkin in an environment of these versions; the same ones are one entity."""
    used = "environment/" + "+".join(f"{name}-{version}" for name, version in sorted(versions.items()))
    return crate.get(f"#{used}") or _add_software(crate, used, versions)


def _add_software(crate: ROCrate, used: str, versions: Mapping[str, str]) -> ContextEntity:
    own = {"@type": "CreativeWork", "name": "modelkin", "version": versions.get("modelkin", "unknown")}
    entity = crate.add(ContextEntity(crate, f"#{used}", own))
    entity["softwareRequirements"] = [
        crate.get(f"#{name}-{version}") or _application(crate, name, version)
        for name, version in sorted(versions.items())
        if name != "modelkin"
    ]
    return entity


def _application(crate: ROCrate, name: str, version: str) -> ContextEntity:
    about = {"name": name, "version": version, "softwareVersion": version}
    about |= {"url": PAGES[name]} if name in PAGES else {}  # manifests may be a stranger's
    return crate.add(ContextEntity(crate, f"#{name}-{version}", {"@type": "SoftwareApplication", **about}))


def _file(path: str, sizes: Mapping[str, int]) -> dict[str, str]:
    """Format and size of a file of the crate."""
    form = next(form for suffix, form in FORMATS.items() if path.endswith(suffix))
    return {"encodingFormat": form} | ({"contentSize": str(sizes[path])} if path in sizes else {})
