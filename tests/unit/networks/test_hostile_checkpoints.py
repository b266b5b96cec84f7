"""Checkpoints made to hang, to fill memory or to be run: a sentence each, in little memory and time."""

import pickle
import subprocess
import sys
import warnings
import zipfile

import pytest
import torch

SCRIPT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
from modelkin.errors import ModelkinError
from modelkin.networks.checkpoints import read_checkpoint
for path in sys.argv[1:]:
    for passing_over in (False, True):
        try:
            read_checkpoint(path, passing_over=passing_over)
        except ModelkinError as error:
            assert "\\n" not in str(error) and len(str(error)) < 1000
            print("refused:", error)
        else:
            print("read")
"""


def itself(container):
    container.append(container) if isinstance(container, list) else container.update(model=container)
    return container


class Calls:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


TENSOR = torch.ones(2, 3)
LOSSLESS = torch.zeros(4)


def made(function, *arguments):
    return {"w": Calls(function, *arguments)}


def rebuilt(size, stride, offset=0):
    return made(torch._utils._rebuild_tensor_v2, LOSSLESS.storage(), offset, size, stride, False, {})


HOSTILE = {
    "a list that holds itself": itself([]),
    "a dict that holds itself": itself({}),
    "strides of 0": {"w": torch.zeros(1).expand(10**12)},
    "strides of 0, half": {"w": torch.zeros(1).half().expand(10**6, 10**6)},
    "sizes beyond the storage": rebuilt((10**9,), (1,)),
    "sizes of floats": rebuilt((2.0,), (1,)),
    "sizes of None": rebuilt((None,), (1,)),
    "sizes of None alone": rebuilt(None, None),
    "sizes below 0": rebuilt((-1,), (1,)),
    "sizes of huge numbers": rebuilt((10**5000,), (1,)),
    "an offset of text": rebuilt((1,), (1,), "0"),
    "more sizes than strides": rebuilt((1, 1), (1,)),
    "a rebuild without arguments": made(torch._utils._rebuild_tensor_v2),
    "a parameter without arguments": made(torch._utils._rebuild_parameter),
    "many bytes": {"w": TENSOR, "x": Calls(bytearray, 10**11)},
    "sparse": {"w": TENSOR.to_sparse()},
    "sparse rows": {"w": TENSOR.to_sparse_csr()},
    "quantised": {"w": torch.quantize_per_tensor(TENSOR, 0.1, 0, torch.qint8)},
    "meta": {"w": torch.zeros(10**6, 10**6, device="meta")},
    "small floats": {"w": TENSOR.to(torch.float8_e4m3fn)},
    "code": {"w": Calls(exec, "open('run', 'w')")},
    "NaN": {"w": TENSOR * float("nan")},
    "texts": ["a"] * 10,
    "nothing": None,
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What is said of each file, twice: as it is, and if foreign objects are passed over."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = {}
    for number, (what, content) in enumerate(HOSTILE.items()):
        for legacy in (False, True):
            path = folder / f"{number}-{legacy}.pt"
            if write(content, path, legacy):
                paths[what, legacy] = path
    paths |= {(what, False): make(folder / f"{what}.pt") for what, make in FILES.items()}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *paths.values()],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (folder / "run").exists()
    lines = [line for line in done.stdout.splitlines() if line.startswith(("refused", "read"))]
    assert len(lines) == 2 * len(paths)
    return dict(zip(paths, zip(lines[::2], lines[1::2], strict=True), strict=True))


def write(content, path, legacy):
    try:
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    except (RuntimeError, NotImplementedError, RecursionError, AttributeError):
        return False  # torch has no such form
    return True


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """A checkpoint whose members are those that ``change`` makes of them, by name."""
    torch.save({"w": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive:
        members = change({info.filename: archive.read(info) for info in archive.infolist()})
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def bomb(path):
    """Members that are compressed: ten megabytes of file, ten gigabytes of zeros."""
    return rewritten(path, dict, zipfile.ZIP_DEFLATED)


def short(path):
    """Fewer numbers than its tensor claims."""
    return rewritten(path, lambda members: {k: v[:4] if "data/0" in k else v for k, v in members.items()})


def without(path):
    """Numbers alone."""
    return rewritten(path, lambda members: {k: v for k, v in members.items() if "data.pkl" not in k})


def cut(path):
    """The first half of a file of the older form, whose pickles are whole."""
    torch.save({"w": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:2000])
    return path


def twice(path):
    """Two members of one name, of which two readers may take another each."""
    torch.save({"w": torch.zeros(1000)}, path)
    with zipfile.ZipFile(path) as archive:
        (pickled,) = [info.filename for info in archive.infolist() if info.filename.endswith("data.pkl")]
        data = archive.read(pickled)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(pickled, data)
    return path


def place(path):
    """A pickle that wants the place 2 ** 31 of its memory, for which the usual reader takes all before it."""
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\x7f." * 5)
    return path


def deep(path):
    """A key of tuples of tuples, whose hash takes 2 ** 60 steps."""
    tuples = pickle.EMPTY_TUPLE + b"q\0"
    for place in range(60):
        tuples += (b"h" + bytes([place])) * 2 + pickle.TUPLE2 + b"q" + bytes([place + 1])
    path.write_bytes(b"\x80\x02" + pickle.EMPTY_DICT + tuples + b"K\x01" + pickle.SETITEM + pickle.STOP)
    return path


def frame(path):
    """A frame, in which steps could not be counted, that claims 10 ** 11 bytes."""
    path.write_bytes(b"\x80\x05" + pickle.FRAME + (10**11).to_bytes(8, "little") + pickle.STOP)
    return path


def array(path):
    """An array of bytes of which only the number is given."""
    path.write_bytes(b"\x80\x05" + pickle.BYTEARRAY8 + (10**11).to_bytes(8, "little") + pickle.STOP)
    return path


FILES = {"a bomb": bomb, "a pickle twice": twice, "a short member": short, "no pickle": without}
FILES |= {"a cut file": cut, "a place in memory": place, "a key of tuples of tuples": deep}
FILES |= {"a frame": frame, "an array": array}
# Which check it is that refuses them; most would be refused by another one too, but by chance.
SAID = {
    "a bomb": "compressed members",
    "a pickle twice": "two members of one name",
    "a short member": "tensors that claim more than the file holds",
    "a cut file": "its tensors claim more than the file holds",
    "no pickle": "no pickle of usable size",
    "a key of tuples of tuples": "keys of keys",
    "many bytes": "bytes of which only the number is given",
    "a rebuild without arguments": "a tensor without numbers",
    "NaN": "NaN or infinite values",
}
SAID |= dict.fromkeys(
    ("strides of 0", "strides of 0, half", "sizes beyond the storage"), "claims more numbers than are stored"
)
SAID |= dict.fromkeys(
    ("sizes of floats", "sizes of None", "sizes of None alone", "sizes below 0", "an offset of text"),
    "a tensor of no usable size",
)
SAID["more sizes than strides"] = "a tensor of no usable size"
SAID |= dict.fromkeys(
    ("sparse", "sparse rows", "quantised", "meta", "small floats"), "a tensor of another kind"
)
SAID |= dict.fromkeys(("sizes of huge numbers", "a frame", "an array"), "what torch.save does not write")


@pytest.mark.parametrize("what", [*HOSTILE, *FILES])
def test_it_is_refused_in_a_sentence(said, what):
    found = [each for (name, _), both in said.items() if name == what for each in both]
    assert found
    assert all(each.startswith("refused: the checkpoint") for each in found), found
    assert all(SAID.get(what, "") in each for each in found), found


def test_what_torch_writes_is_read(tmp_path):
    shared = torch.arange(6.0)
    whole = {
        **{
            "a": shared[:3],
            "b": shared[3:],
            "c": shared.view(2, 3).T,
            "d": torch.tensor(3),
            "e": torch.zeros(0),
        },
        **{"f": torch.nn.Parameter(TENSOR), "g": TENSOR.half(), "h": torch.ones(3).bool()},
    }
    with_more = {
        "state_dict": whole,
        "optimizer": {"state": {0: {"step": 3}}, "lr": [0.1]},
        "epoch": 3,
        "x": {1, 2},
    }
    for number, content in enumerate((whole, with_more)):
        for legacy in (False, True):
            torch.save(content, tmp_path / f"{number}-{legacy}.pt", _use_new_zipfile_serialization=not legacy)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *sorted(tmp_path.glob("*.pt"))],
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["read"] * 8, done.stdout


def test_a_pickle_of_many_steps_has_an_end(tmp_path):
    from modelkin.errors import ModelkinError
    from modelkin.networks import checkpoint_claims

    (tmp_path / "x.pt").write_bytes(pickle.PROTO + b"\x02" + pickle.NONE * 5_000_000 + b".")
    with pytest.raises(ModelkinError, match="too many steps"):
        checkpoint_claims.check_claims(tmp_path / "x.pt")
