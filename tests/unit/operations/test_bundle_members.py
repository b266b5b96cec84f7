"""Which members and which list a bundle may have: each check by what only it refuses."""

import stat
import zipfile

import pytest

from modelkin.errors import ModelkinError
from modelkin.operations import bundle
from modelkin.operations.bundle import opening


def member(name, **changes):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    for key, value in changes.items():
        setattr(info, key, value)
    return info


UNSAFE = {
    # Newer versions of Python take a member's name from an extra field, too.
    "another name in the archive's directory": (member("a", filename="b"), "not a usable path"),
    "a NUL": (member("a", orig_filename="a\0b"), "not a usable path"),
    "a line end": (member("a\nb"), "not a usable path"),
    "the other system's separator": (member("a\\b"), "not a usable path"),
    "a drive": (member("c:a"), "not a usable path"),
    "the root": (member("/a"), "leads out"),
    "above": (member("a/../b"), "leads out"),
    "a dot": (member("./a"), "leads out"),
    "a folder": (member("a/"), "leads out"),
    "encrypted": (member("a", flag_bits=1), "encrypted"),
    "compressed": (member("a", compress_type=zipfile.ZIP_DEFLATED), "compressed"),
    "sizes that differ": (member("a", compress_size=1), "compressed"),
    "sizes that differ, the other way": (member("a", file_size=1), "compressed"),
}
UNSAFE |= {
    f"kind {kind:o}": (member("a", external_attr=kind << 16), "is a link, a device or a folder")
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR)
}


@pytest.mark.parametrize("what", UNSAFE)
def test_a_member_that_is_no_plain_file(what, tmp_path):
    info, said = UNSAFE[what]
    (tmp_path / "x").write_bytes(bytes(100))
    with pytest.raises(ModelkinError, match=said):
        opening._checked_members(tmp_path / "x", [info])


def test_kinds_that_are_files(tmp_path):
    """Archives of systems that know no kinds have none."""
    (tmp_path / "x").write_bytes(bytes(100))
    infos = [member(name) for name in (bundle.CONFIG, bundle.LISTED, bundle.CRATE)]
    infos.append(member("a", external_attr=0, flag_bits=0x800))
    assert len(opening._checked_members(tmp_path / "x", infos)) == 4


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a/b", "A/B"), "stands there twice"),
        (("a", "a/b"), "is in a file"),
        (("a/b", "A"), "is in a file"),
        (("A/b", "a"), "is in a file"),
        (("a/b/c", "a"), "is in a file"),
        ((), "lacks bundle.json"),
    ],
)
def test_names_that_do_not_go_together(names, said, tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    needed = (bundle.CONFIG, bundle.LISTED, bundle.CRATE) if names else (bundle.CONFIG, bundle.CRATE)
    with pytest.raises(ModelkinError, match=said):
        opening._checked_members(tmp_path / "x", [member(name) for name in (*names, *needed)])


@pytest.mark.parametrize("lacks", [bundle.CONFIG, bundle.LISTED, bundle.CRATE])
def test_each_part_is_needed(lacks, tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    infos = [member(name) for name in (bundle.CONFIG, bundle.LISTED, bundle.CRATE) if name != lacks]
    with pytest.raises(ModelkinError, match=f"lacks {lacks}"):
        opening._checked_members(tmp_path / "x", infos)


@pytest.mark.parametrize(("sizes", "fits"), [((50, 50), True), ((50, 51), False), ((101, 0), False)])
def test_sizes_are_added_up(sizes, fits, tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    infos = [member(bundle.CRATE), member(bundle.CONFIG), member(bundle.LISTED)]
    infos += [member(f"m{i}", file_size=size, compress_size=size) for i, size in enumerate(sizes)]
    if fits:
        assert len(opening._checked_members(tmp_path / "x", infos)) == 5
    else:
        with pytest.raises(ModelkinError, match="claims more than it holds"):
            opening._checked_members(tmp_path / "x", infos)


LISTS = {
    "not a mapping": (lambda listed: [], "is not of format 1"),
    "another format": (lambda listed: listed | {"format": 2}, "is not of format 1"),
    "no name": (lambda listed: listed | {"study": None}, "names no usable study"),
    "a name that leads out": (lambda listed: listed | {"study": "../tiny"}, "names no usable study"),
    "a name that ends the line": (lambda listed: listed | {"study": "tiny\n"}, "names no usable study"),
    "a name that is hidden": (lambda listed: listed | {"study": ".tiny"}, "names no usable study"),
    "nothing of what was left out": (lambda listed: listed | {"left_out": []}, "lacks a part"),
    "no files": (lambda listed: listed | {"files": []}, "lacks a part"),
    "a file that is not told": (lambda listed: listed["files"].update(a=None), "does not fit 'a'"),
    "a file that is not there": (lambda listed: listed["files"].update(x={"bytes": 1}), "does not fit 'x'"),
    "another size": (lambda listed: listed["files"].update(a={"bytes": 2}), "does not fit 'a'"),
    "no size": (lambda listed: listed["files"].update(a={}), "does not fit 'a'"),
    "not all files": (lambda listed: listed["files"].clear(), "does not name"),
    "beside the study": (lambda listed: None, "belongs to no study"),
}


@pytest.mark.parametrize("what", LISTS)
def test_lists_that_do_not_fit(what):
    change, said = LISTS[what]
    names = [bundle.CONFIG, bundle.CRATE, "results/tiny/a", "a"]
    infos = {name: member(name, file_size=1) for name in (bundle.LISTED, *names)}
    listed = {"format": 1, "study": "tiny", "left_out": {}, "files": {name: {"bytes": 1} for name in names}}
    changed = change(listed)
    with pytest.raises(ModelkinError, match=said):
        opening._checked_list(listed if changed is None else changed, infos)


@pytest.mark.parametrize("name", ["results/tiny", "results/tiny2/a", "results/a", "result", "bundle.json.x"])
def test_names_beside_the_study(name):
    names = [bundle.CONFIG, bundle.CRATE, name]
    infos = {each: member(each, file_size=1) for each in (bundle.LISTED, *names)}
    listed = {"format": 1, "study": "tiny", "left_out": {}, "files": {each: {"bytes": 1} for each in names}}
    with pytest.raises(ModelkinError, match="belongs to no study"):
        opening._checked_list(listed, infos)
