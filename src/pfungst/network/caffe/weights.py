"""Read weight files: caffemodel (current and legacy layers) and binaryproto mean images.

The outermost message is walked layer by layer, so that a damaged length is met before anything is read, and
no more than one layer is held twice.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from pfungst.errors import ModelError
from pfungst.files import read_bounded, shown
from pfungst.network.caffe.schema import message_class

Blob = NDArray[np.float32]
_MAX_BINARYPROTO_BYTES = 2**28
_MAX_MESSAGE_BYTES = 2**31 - 1
_MAX_AXES = 32
_MAX_EXTENT = 2**40  # of a shape whose zeros are taken for ones; beyond it NumPy has no array, even if empty
_MAX_FIELDS = 100_000
_MAX_LAYER_FIELDS = 10_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_HINT = "the original .caffemodel, downloaded again"


def read_caffemodel(path: str | Path) -> dict[str, list[Blob]]:
    """Read the weights of every layer that has some.

    Parameters
    ----------
    path : path
        A ``.caffemodel`` with ``layer`` (current) or ``layers`` (legacy) messages, float or double data.

    Returns
    -------
    dict of str to list of float32 array
        Layer name to its blobs in file order, each of the shape that the file states (four axes in the
        legacy form).

    Raises
    ------
    ModelError
        If the file is missing, truncated, not a caffemodel, in the oldest (V0) form, HDF5, without weights,
        or holds a blob whose data do not fill its shape or are not finite.
    """
    source = Path(path)
    blobs: dict[str, list[Blob]] = {}
    if source.exists() and not source.is_file():
        raise ModelError(source, "is not a file", allowed="a .caffemodel")
    try:
        with source.open("rb") as stream:
            _refuse_hdf5(source, stream)
            for number, content in _fields(stream, source, source.stat().st_size):
                if number in _LAYER_MESSAGES:
                    name, arrays = _layer_blobs(source, _LAYER_MESSAGES[number], content)
                    if arrays and name in blobs:
                        raise ModelError(source, f"holds weights of layer {shown(name)} twice", hint=_HINT)
                    if arrays:
                        blobs[name] = arrays
    except OSError as error:
        raise ModelError(source, f"cannot be read ({error.strerror})", hint="the .caffemodel file") from error
    if not blobs:
        raise ModelError(
            source, "holds no layer with weights", hint="is it a .caffemodel, and the second file?"
        )
    return blobs


_LAYER_MESSAGES = {2: "V1LayerParameter", 100: "LayerParameter"}


def read_binaryproto(path: str | Path) -> Blob:
    """Read a mean image, ``(channels, height, width)`` float32 in the file's channel order (BGR by custom).

    Raises
    ------
    ModelError
        If the file is missing, damaged, larger than 256 MiB or not one image.
    """
    source = Path(path)
    content = read_bounded(source, _MAX_BINARYPROTO_BYTES, error=ModelError, what="a mean image")
    blob = _array(source, "mean image", _parsed(source, "BlobProto", content))
    image = blob.reshape(blob.shape[1:]) if blob.ndim == 4 and blob.shape[0] == 1 else blob
    if image.ndim != 3:
        raise ModelError(
            source, f"holds a blob of shape {blob.shape}, not a mean image", allowed="(1, channels, h, w)"
        )
    return image


def _refuse_hdf5(path: Path, stream: IO[bytes]) -> None:
    if stream.read(4) == b"\x89HDF":
        raise ModelError(
            path,
            "is an HDF5 file",
            allowed="caffemodels in protobuf form",
            hint="saving with snapshot_format: BINARYPROTO",
        )
    stream.seek(0)


def _fields(stream: IO[bytes], path: Path, left: int, most: int = _MAX_FIELDS) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message of ``left`` bytes; other fields are stepped over."""
    count = 0
    while left > 0:
        count += 1
        if count > most:
            raise ModelError(path, f"has a message with more than {most} fields", hint=_HINT)
        key, used = _varint(stream, path)
        number, wire = key >> 3, key & 7
        left -= used
        if wire == _VARINT:
            _, size = _varint(stream, path)
            left -= size
            continue
        if wire == _BYTES:
            size, used = _varint(stream, path)
            left -= used
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ModelError(path, f"is not a caffemodel (field {number} has wire type {wire})", hint=_HINT)
        if number == 0 or size > min(left, _MAX_MESSAGE_BYTES):
            raise ModelError(
                path,
                f"is truncated or not a caffemodel: field {number} states {size} bytes, {left} are left",
                hint=_HINT,
            )
        yield (number if wire == _BYTES else -1), stream.read(size)
        left -= size


def _varint(stream: IO[bytes], path: Path) -> tuple[int, int]:
    """A base-128 number and how many bytes it took."""
    value = 0
    for position in range(10):
        byte = stream.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << (7 * position)
        if byte[0] < 0x80:
            return value, position + 1
    raise ModelError(path, "is truncated or not a caffemodel (a number does not end)", hint=_HINT)


def _parsed(path: Path, kind: str, content: bytes) -> Any:
    try:
        return message_class(kind).FromString(content)
    except (DecodeError, ValueError, RecursionError) as error:
        raise ModelError(path, f"is damaged: a {kind} cannot be decoded ({error})", hint=_HINT) from error


def _layer_blobs(path: Path, kind: str, content: bytes) -> tuple[str, list[Blob]]:
    """Name and blobs of a layer; its fields are counted first, since each takes far more memory than file."""
    for _ in _fields(io.BytesIO(content), path, len(content), _MAX_LAYER_FIELDS):
        pass
    message = _parsed(path, kind, content)
    if kind == "V1LayerParameter" and message.HasField("layer"):
        raise ModelError(
            path,
            f"holds layer {message.layer.name!r} in Caffe's oldest form (V0)",
            allowed="caffemodels with `layer` or `layers` messages",
            hint="Caffe's upgrade_net_proto_binary",
        )
    label = f"layer {message.name!r}"
    return message.name, [
        _array(path, f"{label}, blob {index}", blob) for index, blob in enumerate(message.blobs)
    ]


def _array(path: Path, label: str, blob: Any) -> Blob:
    """A blob's data in its shape, as float32; nothing is allocated before the two were compared."""
    shape = _shape(blob)
    values = _values(path, label, blob)
    if not _is_shape(shape) or math.prod(shape) != values.size:
        stated = "x".join(map(str, shape[:_MAX_AXES]))
        raise ModelError(
            path,
            f"{label} states the shape {stated} but holds {values.size} numbers",
            hint=_HINT,
        )
    if not np.isfinite(values).all():
        raise ModelError(path, f"{label} holds NaN or infinity", hint=_HINT)
    return values.reshape(shape)


def _is_shape(shape: tuple[int, ...]) -> bool:
    few = len(shape) <= _MAX_AXES and all(size >= 0 for size in shape)
    return few and math.prod(max(size, 1) for size in shape) <= _MAX_EXTENT


def _shape(blob: Any) -> tuple[int, ...]:
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    return blob.num, blob.channels, blob.height, blob.width


def _values(path: Path, label: str, blob: Any) -> Blob:
    """The numbers of a blob, packed or not, float or double, as float32."""
    single, double = b"".join(blob.data), b"".join(blob.double_data)
    if len(single) % 4 or len(double) % 8 or (single and double):
        raise ModelError(path, f"{label} holds data that are not whole numbers of one type", hint=_HINT)
    if single:
        return np.frombuffer(single, dtype="<f4").astype(np.float32, copy=False)
    if not double:
        # Numbers written one by one are left over as fields of another wire type.
        loose = _parsed(path, "UnpackedBlob", blob.SerializeToString())
        double = np.array(loose.double_data, dtype="<f8").tobytes()
        if loose.data:
            return np.array(loose.data, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinity or NaN is refused
        return np.frombuffer(double, dtype="<f8").astype(np.float32)
