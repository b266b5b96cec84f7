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


# the steps of a pickle


def followed(data):
    """What stands at the end of a pickle, and what its storages claim."""
    claims = checkpoint_claims._Claims(io.BytesIO(data))
    return claims.load(), claims.claimed


class Named(Claims):
    """Pickles a function or a type as what it is called."""

    def persistent_id(self, value):
        return value.pid if isinstance(value, Pid) else super().persistent_id(value)


class Pid:
    """What stands for an object that is kept elsewhere."""

    def __init__(self, *pid):
        self.pid = pid


def pickled(value):
    stream = io.BytesIO()
    Named(stream, 2).dump(value)
    return stream.getvalue()


class Calls:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize(
    "name",
    ["Double", "Long", "Float", "Int", "Half", "BFloat16", "Short", "Char", "Byte", "Bool"]
    + ["ComplexFloat", "ComplexDouble"],
)
def test_the_bytes_of_a_number_are_those_of_torch(name):
    """A wider one than is counted could claim more than the file holds."""
    kind = getattr(torch, f"{name}Storage")
    assert followed(pickled(Pid("storage", kind, "0", "cpu", 10)))[1] == 10 * kind().element_size()


def test_what_is_no_storage_claims_nothing():
    """Very old files keep the source of modules so."""
    kind = torch.FloatStorage
    for pid in (("module", 1, "a.py", "x"), ("other", kind, "0", "cpu", 10), ("storage", kind, "0", "cpu")):
        assert followed(pickled(Pid(*pid)))[1] == 0
    assert followed(pickled(Pid("storage", torch.Tensor, "0", "cpu", 10)))[1] == 10, "one byte at least"


def test_values_are_where_they_belong():
    """The steps for keys and values are those of Python."""
    for value in ({"a": 1}, {"a": 1, "b": [2]}, {"a": {"b": {"c": (1, 2, 3)}}}):
        assert followed(pickle.dumps(value, 2)) == (value, 0)


@pytest.mark.parametrize("place", range(5))
def test_all_pickles_of_the_older_form_are_followed(tmp_path, place):
    parts = [pickle.dumps(0, 2)] * 5
    parts[place] = storages([10**9])
    (tmp_path / "x.pt").write_bytes(b"".join(parts) + bytes(100))
    refused(tmp_path / "x.pt", "its tensors claim more than the file holds")


def test_numbers_after_the_pickles_are_not_read(tmp_path):
    (tmp_path / "x.pt").write_bytes(pickle.dumps(0, 2) * 5 + storages([10**9]))
    check_claims(tmp_path / "x.pt")


@pytest.mark.parametrize("line", [False, True])
def test_steps_are_counted(monkeypatch, line):
    """Reads and lines alike."""
    monkeypatch.setattr(checkpoint_claims, "STEPS", 5)
    stream = checkpoint_claims._Counted(io.BytesIO(b"\n" * 10))
    read = stream.readline if line else lambda: stream.read(1)
    assert [read() for _ in range(4)] == [b"\n"] * 4
    with pytest.raises(pickle.UnpicklingError, match="too many steps"):
        read()


def test_steps_that_torch_does_not_know(tmp_path):
    for data in (
        pickle.FRAME + bytes(8),
        pickle.BYTEARRAY8 + bytes(8),
        pickle.INT + b"1\n",
        pickle.INST + b"a\nb\n",
    ):
        (tmp_path / "x.pt").write_bytes(pickle.PROTO + b"\2" + data + pickle.STOP)
        refused(tmp_path / "x.pt", "what torch.save does not write")


def test_bytes_of_which_only_the_number_is_given(tmp_path):
    for call in (Calls(bytearray, 10**11), Calls(bytearray, "a", 3)):
        refused(older_form(tmp_path / "x.pt", pickle.dumps([call], 2)), "bytes of which only the number")
    value, _ = followed(pickle.dumps(Calls(bytearray, "abc", "latin-1"), 2))
    assert isinstance(value, checkpoint_claims._Inert)


def test_what_is_called_is_a_stand_in():
    """Also what a call gives, with what it is to hold."""
    twice = pickle.GLOBAL + b"os\nsystem\n" + (pickle.EMPTY_TUPLE + pickle.REDUCE) * 2
    value, _ = followed(pickle.PROTO + b"\2" + twice + pickle.EMPTY_DICT + pickle.BUILD + pickle.STOP)
    assert isinstance(value, checkpoint_claims._Inert)


TENSOR = (0, (2, 3), (3, 1), False, {})
REBUILDS = {
    "_rebuild_tensor": TENSOR[:3],
    "_rebuild_tensor_v2": TENSOR,
}


@pytest.mark.parametrize("name", REBUILDS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({1: (), 2: ()}, None),
        ({1: [2, 3], 2: [3, 1]}, None),
        ({1: (2, 3, 2)}, "a tensor of no usable size"),
        ({1: (2, 3.0)}, "a tensor of no usable size"),
        ({1: (2, True)}, "a tensor of no usable size"),
        ({1: (2, -3)}, "a tensor of no usable size"),
        ({2: (2**48, 1)}, "a tensor of no usable size"),
        ({2: (-1, 1)}, "a tensor of no usable size"),
        ({0: "0"}, "a tensor of no usable size"),
        ({1: None}, "a tensor of no usable size"),
        ({1: 6}, "a tensor of no usable size"),
        ({2: None}, "a tensor of no usable size"),
        ({1: (1,) * 64, 2: (1,) * 64}, None),
        ({1: (1,) * 65, 2: (1,) * 65}, "a tensor of no usable size"),
        ({1: (2, 4)}, "claims more numbers than are stored"),
        ({1: (7, 0)}, None),
    ],
    ids=str,
)
def test_each_claim_of_a_tensor(tmp_path, name, change, said):
    arguments = list(REBUILDS[name])
    for place, value in change.items():
        arguments[place] = value
    call = Calls(getattr(torch._utils, name), Stored("0", 6), *arguments)
    path = older_form(tmp_path / "x.pt", pickled([call]))
    if said is None:
        check_claims(path)
    else:
        refused(path, said)


def test_a_tensor_without_numbers(tmp_path):
    rebuild = torch._utils._rebuild_tensor_v2
    for arguments in ((), (Stored("0", 6), 0, (2,)), (3, *TENSOR), (None, *TENSOR)):
        refused(
            older_form(tmp_path / "x.pt", pickled([Calls(rebuild, *arguments)])), "a tensor without numbers"
        )
    check_claims(older_form(tmp_path / "x.pt", pickled([Calls(rebuild, Stored("0", 6), 0, (2,), (1,))])))


def test_a_number_of_no_storage(tmp_path):
    """torch keeps a place for a single one even where nothing is stored."""
    for size, said in (((), None), ((2,), "claims more numbers than are stored")):
        call = Calls(torch._utils._rebuild_tensor_v2, Stored("0", 0), 0, size, (1,) * len(size))
        path = older_form(tmp_path / "x.pt", pickled([call]))
        check_claims(path) if said is None else refused(path, said)


@pytest.mark.parametrize("form", [False, True])
def test_parameters_are_ordinary(tmp_path, form):
    with_state = torch.nn.Parameter(torch.ones(3))
    with_state.more = "x"
    for value in (torch.nn.Parameter(torch.ones(3)), with_state):
        torch.save({"w": value}, tmp_path / "x.pt", _use_new_zipfile_serialization=form)
        check_claims(tmp_path / "x.pt")
    torch.save({"w": torch.ones(2, 2).to_sparse()}, tmp_path / "x.pt", _use_new_zipfile_serialization=form)
    refused(tmp_path / "x.pt", r"a tensor of another kind .sparse_tensor.")


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
