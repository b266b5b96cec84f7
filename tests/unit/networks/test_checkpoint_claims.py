"""Each check of what a checkpoint claims, by a file that no other check refuses."""

import copy
import io
import pickle
import zipfile

import pytest
import torch

from modelkin.errors import ModelkinError
from modelkin.networks import checkpoint_claims
from modelkin.networks.checkpoint_claims import check_claims, check_made


class Stored:
    """A storage that is said to have so many numbers."""

    def __init__(self, key, numbers):
        self.key, self.numbers = key, numbers


class Rebuilt:
    """A tensor of a storage, with these sizes and strides."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


class Claims(pickle.Pickler):
    """Pickles a list of numbers of floats as storages that claim them."""

    def persistent_id(self, value):
        if not isinstance(value, Stored):
            return None
        return ("storage", torch.FloatStorage, value.key, "cpu", value.numbers, None)


def older_form(path, *contents):
    """A file of the older form; contents: of its fourth pickle, the numbers of each storage."""
    with open(path, "wb") as stream:
        for other in (1, 2, {}):
            pickle.dump(other, stream, 2)
        stream.write(contents[0] if isinstance(contents[0], bytes) else storages(contents))
        pickle.dump([], stream, 2)
        stream.write(bytes(4000))
    return path


def storages(numbers):
    stream = io.BytesIO()
    Claims(stream, 2).dump([Stored(str(key), each) for key, each in enumerate(numbers)])
    return stream.getvalue()


def refused(path, said):
    with pytest.raises(ModelkinError, match=said):
        check_claims(path)


def test_claims_are_added_up(tmp_path):
    check_claims(older_form(tmp_path / "x.pt", 500, 500))
    refused(older_form(tmp_path / "x.pt", 500, 1000), "its tensors claim more than the file holds")


@pytest.mark.parametrize("odd", [-(10**9), 2.5, None, "4", True, 2**48])
def test_a_storage_of_no_size(tmp_path, odd):
    """One below nothing would make up for what another claims."""
    refused(older_form(tmp_path / "x.pt", 10**9, odd), "it holds a tensor of no usable size")


@pytest.mark.parametrize("numbers", [10, 10**12])
def test_a_storage_is_what_was_said_of_it_first(tmp_path, numbers):
    stream = io.BytesIO()
    tensor = Rebuilt(Stored("0", 10**12), 0, (numbers,), (0,), False, {})
    Claims(stream, 2).dump([Stored("0", 10), tensor])
    path = older_form(tmp_path / "x.pt", stream.getvalue())
    if numbers == 10:
        check_claims(path)
    else:
        refused(path, "a tensor that claims more numbers than are stored")


@pytest.mark.parametrize("more", [{}, {"a": 1}])
def test_keys_whose_hash_may_have_no_end(tmp_path, more):
    """One item of a mapping, and several, are steps of their own."""
    for keys in ({((1,),): 0} | more, more | {(2, (1,)): 0}):
        refused(older_form(tmp_path / "x.pt", pickle.dumps(keys, 2)), "it holds keys of keys")
    check_claims(older_form(tmp_path / "x.pt", pickle.dumps({(1, 2): ((1,),)} | more, 2)))


def test_members_that_share_their_bytes(tmp_path):
    """No tensor is of the second one."""
    path = tmp_path / "x.pt"
    torch.save({"w": torch.zeros(1000)}, path)
    check_claims(path)
    with zipfile.ZipFile(path, "a") as archive:
        twin = copy.copy(max(archive.infolist(), key=lambda info: info.file_size))
        twin.filename = twin.orig_filename = "x/data/1"
        archive.filelist.append(twin)
        archive._didModify = True
    refused(path, "members that claim more than there is")


def test_a_tensor_of_a_member_that_is_too_short(tmp_path):
    """As much as it claims is in the file, but elsewhere."""
    path = tmp_path / "x.pt"
    torch.save({"w": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data[:-4] if name.endswith("data/0") else data)
        archive.writestr("x/data/more", bytes(5000))
    refused(path, "it holds tensors that claim more than the file holds")


def test_a_pickle_is_not_large(tmp_path, monkeypatch):
    path = tmp_path / "x.pt"
    torch.save({"w": torch.zeros(10)}, path)
    with zipfile.ZipFile(path) as archive:
        (size,) = (info.file_size for info in archive.infolist() if info.filename.endswith("data.pkl"))
    monkeypatch.setattr(checkpoint_claims, "LARGEST_PICKLE", size)
    check_claims(path)
    monkeypatch.setattr(checkpoint_claims, "LARGEST_PICKLE", size - 1)
    refused(path, "no pickle of usable size")


def test_no_more_is_asked_of_a_file_than_a_pickle_may_have():
    """A text may claim four billion characters, and room for them is taken before they are read."""
    asked = []

    class Stream:
        def read(self, size):
            asked.append(size)

        readline = read

    counted = checkpoint_claims._Counted(Stream())
    counted.read(10**12)
    counted.readline()
    counted.read(3)
    assert asked == [checkpoint_claims.LARGEST_PICKLE] * 2 + [3]


MADE = {
    "of strides 0": (torch.zeros(1).expand(2), "claims more than is stored, 'w'"),
    "sparse": (torch.ones(2, 2).to_sparse(), "sparse, quantised or empty tensor, first 'w'"),
    "quantised": (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "quantised"),
    "meta": (torch.zeros(2, device="meta"), "sparse, quantised or empty"),
    "nested": (torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]), "sparse, quantised or empty"),
    "of small floats": (
        torch.ones(2).to(torch.float8_e4m3fn),
        "numbers of torch.float8_e4m3fn, first in 'w'",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", MADE)
def test_tensors_that_were_read(tmp_path, what):
    """What is said of a tensor where its file was not looked into before, as with trust_pickle."""
    value, said = MADE[what]
    with pytest.raises(ModelkinError, match=said):
        check_made("w", value, tmp_path / "x.pt")


def test_ordinary_tensors(tmp_path):
    shared = torch.arange(6.0)
    for value in (
        shared,
        shared[3:],
        shared.view(2, 3).T,
        torch.zeros(0),
        torch.tensor(3),
        torch.ones(2).bool(),
    ):
        check_made("w", value, tmp_path / "x.pt")
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        check_made("w", shared.to(kind), tmp_path / "x.pt")
