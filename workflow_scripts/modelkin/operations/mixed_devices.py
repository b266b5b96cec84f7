"""Whether new results would stand beside old ones that were computed on another device or in another
precision, which no setting of a stage tells.

It compares what manifests tell with what the config asks for now, stage by stage: a table compares all
models by what one stage made of each. It knows nothing of Snakemake, and asks for torch only if it must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from modelkin.study.config import Study

# Stages whose results no device changes: weights that are taken in stay as they are.
SAME_EVERYWHERE = frozenset({"import"})
Made = Callable[[str], Mapping[str, Any] | None]  # the manifest at a path below the study


class Mixture(NamedTuple):
    """Finished artifacts of a stage and what coming ones of it would be computed on.

    stage: as manifests call it; was: the device and precision of the finished ones, by manifest below the
    study; now: of the coming ones.
    """

    stage: str
    was: dict[str, str]
    now: str


def mixtures(
    coming: Mapping[str, Iterable[str]], staying: Iterable[str], made: Made, study: Study, remote: bool
) -> list[Mixture]:
    """What would be mixed if these artifacts were made now.

    Parameters
    ----------
    coming
        The manifests below the study that are to be made, by what manifests call their stage; only of stages
        that compute on a device.
    staying
        The manifests of the study that are not.
    remote
        Whether jobs run on other machines, of which nobody knows here whether they have a GPU.
    """
    was: dict[str, dict[str, str]] = {stage: {} for stage in coming if stage not in SAME_EVERYWHERE}
    for name in staying if was else ():
        found = made(name)
        if found and found["stage"] in was and "device" in found:
            was[found["stage"]][name] = found["device"]
    was = {stage: devices for stage, devices in was.items() if devices}
    if not was:
        return []
    now = device_now(study, remote)
    other = {
        stage: {name: device for name, device in devices.items() if not _is_the_same(device, now)}
        for stage, devices in was.items()
    }
    return [Mixture(stage, devices, now) for stage, devices in other.items() if devices]


def device_now(study: Study, remote: bool) -> str:
    """What manifests will call device and precision of jobs that start now; '?' stands for a device that
    only the jobs will know.
    """
    device, precision = study.device.split(":")[0], study.section("precision")
    if device == "auto":
        device = "?" if remote else _device_here()
    return device if precision == "float32" else f"{device} {precision}"


def _device_here() -> str:
    import torch  # slow to import, and asked for only when there is something to be mixed

    return "cuda" if torch.cuda.is_available() else "cpu"


def _is_the_same(was: str, now: str) -> bool:
    """Whether two descriptions of device and precision give, as far as both are known, the same results."""
    (a, _, p), (b, _, q) = _on(was).partition(" "), _on(now).partition(" ")
    return p == q and (a == b or b == "?")


def _on(device: str) -> str:
    """Device and precision with what the latter changes there: tf32 is for GPUs."""
    return "cpu" if device == "cpu tf32" else device


def mixture_sentence(found: Iterable[Mixture], results: str) -> str:
    """What to tell the user of the first of them, and what to do."""
    first, *more = found
    was = sorted(set(first.was.values()))
    manifest = next(iter(first.was))
    also = f"; so it is with {', '.join(each.stage for each in more)}" if more else ""
    return (
        f"{len(first.was)} finished artifacts of the stage {first.stage}, first {results}/{manifest}, were "
        f"computed on {_listed(was)}, and the coming ones would be on {_listed([first.now])}, to stand in "
        f"the same tables{also}; go on where and as those were made (`device`, `precision`), delete their "
        "manifests to have them made anew, or accept both with `mixed_devices: true`."
    )


def beside_each_other(manifests: Mapping[str, Mapping[str, Any] | None]) -> dict[str, dict[str, int]]:
    """How many artifacts of each stage were computed on which device, of stages that have more than one."""
    found: dict[str, dict[str, int]] = {}
    for content in filter(None, manifests.values()):
        stage, device = content.get("stage"), content.get("device")
        if device is not None and stage not in SAME_EVERYWHERE:
            counted, device = found.setdefault(stage, {}), _on(device)
            counted[device] = counted.get(device, 0) + 1
    return {stage: counted for stage, counted in found.items() if len(counted) > 1}


def beside_sentence(found: Mapping[str, Mapping[str, int]]) -> str:
    """What to tell a reader of a study of several devices or precisions."""
    said = (
        f"{stage} on {' and '.join(f'{_listed([each])} ({number})' for each, number in counted.items())}"
        for stage, counted in found.items()
    )
    return f"artifacts of several devices or precisions stand beside each other: {'; '.join(said)}."


def _listed(devices: Iterable[str]) -> str:
    """Devices in words: 'cuda bf16' is cuda in bf16, '? tf32' another device in tf32."""
    said = []
    for each in devices:
        device, _, precision = each.partition(" ")
        said.append(f"{'some device' if device == '?' else device} in {precision or 'float32'}")
    return " and ".join(said)
