"""What a checkpoint claims to hold, read before anything of it is made: it may be a stranger's.

torch reads tensors alone from a pickle if it is told to, but it believes what the pickle says of their sizes.
Here the pickle is followed with stand-ins that do nothing; only what tensors claim is kept. It knows nothing
of what torch makes of it.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from modelkin.errors import ModelkinError

LARGEST_PICKLE = 2**25  # bytes, without the tensors' own
STEPS = 4_000_000  # of reading a pickle
SLACK = 1.05  # of the tensors' claimed bytes over the file's
WIDTHS = {"Double": 8, "Long": 8, "Float": 4, "Int": 4, "Half": 2, "BFloat16": 2, "Short": 2}
WIDTHS |= {"Char": 1, "Byte": 1, "Bool": 1, "ComplexFloat": 8, "ComplexDouble": 16}
ORDINARY = {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state"}
LEGACY_PICKLES = 5  # magic number, protocol, system, content, keys
# The steps of a pickle that torch follows when it reads weights only.
STEPS_OF_TORCH = (
    *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.GLOBAL, pickle.REDUCE, pickle.BUILD, pickle.NEWOBJ),
    *(pickle.BINPERSID, pickle.BINGET, pickle.LONG_BINGET, pickle.BINPUT, pickle.LONG_BINPUT),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG1, pickle.BINFLOAT, pickle.BINUNICODE, pickle.SHORT_BINSTRING),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
)
# The reader that is written in Python; the library's stubs tell nothing of its inside.
PYTHON_UNPICKLER: Any = pickle._Unpickler
ZIP = b"PK\x03\x04"


class _Inert:
    """Stands for whatever a pickle names; it takes everything and does nothing."""

    def __init__(self, *args, **keywords):
        pass

    def __call__(self, *args, **keywords):
        return self

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        """Take it for nothing."""

    def extend(self, values):
        """Take them for nothing."""

    add = append
    update = extend


class _Storage:
    """Stands for the numbers of a tensor: how many are claimed, and the bytes of one."""

    def __init__(self, width: int, numbers: int):
        self.width, self.numbers = width, numbers


class _StorageType(_Inert):
    """Stands for a type of storage; width: bytes of a number."""

    def __init__(self, width: int):
        self.width = width


class _Counted:
    """A stream whose reads are counted, for a pickle of many steps is never at its end."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.left = stream, STEPS

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            raise pickle.UnpicklingError("it takes too many steps to read")

    def read(self, size: int) -> bytes:
        """As of the stream."""
        self._count()
        return self.stream.read(min(size, LARGEST_PICKLE))

    def readline(self) -> bytes:
        """As of the stream."""
        self._count()
        return self.stream.readline(LARGEST_PICKLE)


class _KnownSteps(dict):
    """What to do at each step of a pickle, for the steps that torch knows too."""

    def __missing__(self, step: int):
        raise pickle.UnpicklingError("it holds what torch.save does not write")


class _Claims(PYTHON_UNPICKLER):
    """Follows a pickle. Python's own reader, for the other takes memory for any place that is named."""

    dispatch = _KnownSteps({step[0]: PYTHON_UNPICKLER.dispatch[step[0]] for step in STEPS_OF_TORCH})

    def __init__(self, stream: BinaryIO):
        super().__init__(_Counted(stream), encoding="utf-8")
        self.claimed = 0
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str):
        """A stand-in for whatever is named."""
        if module in ("torch._utils", "torch._tensor") and name.startswith("_rebuild"):
            return self._rebuild(name)
        if module == "torch" and name.endswith("Storage"):
            return _StorageType(WIDTHS.get(name.removesuffix("Storage"), 1))
        if name == "bytearray":
            return _bytes
        return type("Inert", (_Inert,), {})

    def persistent_load(self, pid: Any):
        """A stand-in for a storage, whose claim is kept."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            return _Inert()
        _, kind, key, _, numbers = pid[:5]
        if not _is_size(numbers):
            raise _Wrong("a tensor of no usable size")
        if str(key) not in self.storages:
            storage = _Storage(kind.width if isinstance(kind, _StorageType) else 1, numbers)
            self.storages[str(key)] = storage
            self.claimed += storage.width * numbers
        return self.storages[str(key)]  # as torch does: what is said of it later stands for nothing

    def _rebuild(self, name: str):
        def rebuild(*args):
            if name not in ORDINARY:
                raise _Wrong(f"a tensor of another kind ({name.removeprefix('_rebuild_')})")
            if name.startswith("_rebuild_tensor"):
                _check_tensor(args)
            return _Inert()

        return rebuild

    def load_setitem(self) -> None:
        """As Python's, but for keys whose hash may take for ever."""
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """As Python's, but for keys whose hash may take for ever."""
        _check_keys(self.stack[::2])
        super().load_setitems()

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems


def _check_keys(keys: list) -> None:
    # To hash tuples of tuples of tuples takes two to the power of their depth.
    if any(isinstance(each, tuple) for key in keys if isinstance(key, tuple) for each in key):
        raise _Wrong("keys of keys")


class _Wrong(Exception):
    """What a checkpoint holds, and should not."""


def check_claims(path: Path) -> None:
    """ModelkinError unless a file that torch.save wrote holds what it claims, and ordinary tensors alone.

    Parameters
    ----------
    path
        A file that is there.
    """
    try:
        claimed = _claimed_bytes(path)
    except _Wrong as error:
        raise ModelkinError(f"the checkpoint {path} is refused: it holds {error}.") from None
    except Exception as error:
        # A pickle that is damaged, or made so, ends in any error whatever.
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelkinError(f"the checkpoint {path} is damaged or not a checkpoint ({reason}).") from None
    if claimed > path.stat().st_size * SLACK:
        raise ModelkinError(
            f"the checkpoint {path} is refused: its tensors claim more than the file holds; it is cut off "
            f"or made up."
        )


def _claimed_bytes(path: Path) -> int:
    with open(path, "rb") as stream:
        if stream.read(len(ZIP)) != ZIP:
            stream.seek(0)
            claims = _Claims(stream)
            for _ in range(LEGACY_PICKLES):
                claims = _followed(stream, claims)
            return claims.claimed
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if len({info.filename for info in infos}) < len(infos):
            raise _Wrong("two members of one name")
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise _Wrong("compressed members, which torch.save does not write")
        if sum(info.file_size for info in infos) > path.stat().st_size:
            raise _Wrong("members that claim more than there is")
        pickles = [info for info in infos if info.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
            raise _Wrong("no pickle of usable size")
        prefix = pickles[0].filename.removesuffix("data.pkl")
        claims = _Claims(io.BytesIO(archive.read(pickles[0])))
        claims.load()
        sizes = {info.filename: info.file_size for info in infos}
        for key, storage in claims.storages.items():
            if storage.width * storage.numbers > sizes.get(f"{prefix}data/{key}", 0):
                raise _Wrong("tensors that claim more than the file holds")
        return claims.claimed


def _followed(stream: BinaryIO, before: _Claims) -> _Claims:
    """The claims of the next pickle, with those before it."""
    claims = _Claims(stream)
    claims.load()
    claims.claimed += before.claimed
    return claims


def _bytes(*args):
    if any(_is_size(each) for each in args):
        raise _Wrong("bytes of which only the number is given")
    return _Inert()


def _check_tensor(args: tuple) -> None:
    """Raises _Wrong unless a tensor is dense, of whole sizes, and within its storage."""
    if len(args) < 4 or not isinstance(args[0], _Storage):
        raise _Wrong("a tensor without numbers")
    storage, offset, size, stride = args[:4]
    if not isinstance(size, tuple | list) or not isinstance(stride, tuple | list):
        raise _Wrong("a tensor of no usable size")
    if len(size) != len(stride) or not all(map(_is_size, (offset, *size, *stride))) or len(size) > 64:
        raise _Wrong("a tensor of no usable size")
    numbers = 1
    for each in size:
        numbers *= each
    if numbers > max(storage.numbers, 1):
        raise _Wrong("a tensor that claims more numbers than are stored")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48


def check_made(name: str, value: Any, path: Path) -> None:
    """ModelkinError unless a tensor that was read is dense, on this machine and of ordinary numbers."""
    import torch

    ordinary = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    if (
        value.layout is not torch.strided
        or value.is_quantized
        or value.device.type != "cpu"
        or value.is_nested
    ):
        raise ModelkinError(
            f"the checkpoint {path} holds a sparse, quantised or empty tensor, first '{name:.60}'."
        )
    if value.is_floating_point() and value.dtype not in ordinary:
        raise ModelkinError(f"the checkpoint {path} holds numbers of {value.dtype}, first in '{name:.60}'.")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise ModelkinError(
            f"the checkpoint {path} holds a tensor that claims more than is stored, '{name:.60}'."
        )
