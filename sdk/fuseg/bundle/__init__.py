"""The bundle: manifest, networks and sample frames in one file that runs no code."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from ..errors import ArgumentError, BundleError, InputFileError
from ..host.files import write_file
from ..manifest import (
    AudioInput,
    File,
    Manifest,
    Network,
    Sample,
    TokensOutput,
    Variant,
    image_inputs,
)
from ..onnx.self_contained import require_self_contained
from .container import LARGEST_FILE, MANIFEST, pack, unpack
from .npy import read_npy
from .onnx_limits import Tensors, require_bounded
from .text_members import require_detokenizer, require_tokenizer

__all__ = ["Bundle", "require_network", "write"]

Samples = list[tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]]


def write(
    path: str | os.PathLike[str], manifest: Manifest, members: Mapping[str, bytes]
) -> str:
    """Write a bundle, whole or not at all; equal members give equal bytes.

    Args:
        path: The file to make or to replace.
        manifest: Its ``files`` are filled in here.
        members: Exactly what the variants and samples of the manifest name.

    Returns:
        The sha256 digest of the file, 64 hexadecimal digits.

    Raises:
        BundleError: `Bundle.open` would refuse the file; nothing is written.
        OutputFileError: It cannot be written; what was there before still is.
    """
    path = Path(path)
    files = {
        name: File(hashlib.sha256(data).hexdigest(), len(data))
        for name, data in members.items()
    }
    with _naming(path):
        text = replace(manifest, files=files).dump().encode("ascii")
        data = pack(text, members)
        _inspect(memoryview(data))
    write_file(path, data)
    return hashlib.sha256(data).hexdigest()


def require_network(
    model: memoryview,
    opset: int,
    ir_version: int,
    inputs: Tensors | None = None,
    outputs: Tensors | None = None,
) -> None:
    """Refuse an ONNX file that a bundle must not hold; nothing of it is run.

    Args:
        opset: That the manifest says the file is of.
        ir_version: Likewise.
        inputs, outputs: The manifest's tensors, by name; None while there is no
            manifest yet.

    Raises:
        BundleError: It points to other files, has an operator that is not of format 1,
            a graph in a node, functions, a training graph, a tensor that states more
            than it holds; it is of another opset, or has other inputs or outputs; or
            it is no ONNX file.
    """
    require_self_contained(model)
    require_bounded(model, opset, ir_version, inputs, outputs)


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. Members are read from the file when asked for.

    ``digest`` is the sha256 of the whole file, 64 hexadecimal digits.
    """

    path: Path
    manifest: Manifest
    digest: str
    _members: dict[str, slice]
    _data: bytes | None = field(default=None, repr=False)

    @property
    def source(self) -> str | bytes:
        """The absolute path, or the bytes if it was opened from those."""
        return str(self.path.absolute()) if self._data is None else self._data

    @classmethod
    def open(cls, path: str | os.PathLike[str] | bytes | BinaryIO) -> Bundle:
        """Read the manifest and check everything else, each byte of it.

        Args:
            path: The file: its path, its bytes, or the file opened in binary mode,
                which is read from where it stands. Of the latter two the bytes are
                kept, and ``path`` is what they are called.

        Raises:
            ArgumentError: ``path`` is none of these.
            InputFileError: There is no such file, or it cannot be read.
            BundleError: It is not exactly a bundle as fuseg writes one: cut off,
                changed, not listed in the manifest, pointing to other files.
            ManifestError: Its manifest breaks the schema or is of a newer format.
        """
        if isinstance(path, (str, os.PathLike)):
            path, kept = Path(path), None
            data = _read_file(path)
        else:
            path, data = _bytes_of(path)
            kept = data
        with _naming(path):
            manifest, members = _inspect(memoryview(data))
        return cls(path, manifest, hashlib.sha256(data).hexdigest(), members, kept)

    def read(self, member: str) -> bytes:
        """Read a member, checked against its sha256.

        Raises:
            ArgumentError: The manifest lists no such member.
            InputFileError: The file cannot be read any more.
            BundleError: The file was changed since it was opened.
        """
        if member not in self.manifest.files:
            raise ArgumentError(
                f"member must be one of {', '.join(self.manifest.files)}, "
                f"got {member!r}."
            )
        place = self._members[member]
        if self._data is not None:
            return self._data[place]
        try:
            with self.path.open("rb") as file:
                file.seek(place.start)
                data = file.read(place.stop - place.start)
        except OSError as err:
            raise _unreadable(self.path, err) from err
        if hashlib.sha256(data).hexdigest() != self.manifest.files[member].sha256:
            raise BundleError(
                f"{self.path}: member {member!r} was changed since the bundle was "
                "opened: open it again."
            )
        return data

    def network(self, variant: Variant) -> Network:
        """The one ONNX file that runs the bundle in this variant, no input missing.

        Raises:
            BundleError: The bundle has several graphs, stand-ins aside.
        """
        graphs = self.manifest.main_graphs
        if len(graphs) > 1:
            raise BundleError(
                f"{self.path}: graphs must be one for it to have one network, got "
                f"{', '.join(graph.name for graph in graphs)}."
            )
        return self.manifest.network(graphs[0], variant)

    def samples(self) -> Samples:
        """Read the sample frames, and what is expected of them.

        Returns:
            New arrays by input name, frames as the manifest's inputs declare them, and
            by output name, as the output's record expects them: labels uint8
            ``(H, W)`` at the size of the first input's frame.
        """
        return [
            (
                {name: self._array(file) for name, file in sample.inputs.items()},
                {name: self._array(file) for name, file in sample.outputs.items()},
            )
            for sample in self.manifest.samples
        ]

    def _array(self, member: str) -> NDArray[Any]:
        array: NDArray[Any] = read_npy(
            memoryview(self.read(member)), may_be_empty=True
        ).copy()
        return array


def _inspect(data: memoryview) -> tuple[Manifest, dict[str, slice]]:
    """Check a whole bundle in memory; the sentences do not name the file."""
    members = unpack(data)
    with _naming(MANIFEST):
        manifest = Manifest.parse(bytes(data[members[MANIFEST]]))
    listed, present = {*manifest.files}, {*members} - {MANIFEST}
    for name in sorted(present - listed):
        raise BundleError(f"member {name!r} is not listed in the manifest's files.")
    for name in sorted({*listed, *manifest.members()} - present):
        raise BundleError(f"member {name!r}, which the manifest names, is missing.")
    for name, file in manifest.files.items():
        content = data[members[name]]
        if len(content) != file.bytes:
            raise BundleError(
                f"member {name!r} must be {file.bytes} bytes, got {len(content)}."
            )
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise BundleError(f"member {name!r} does not have the sha256 it must have.")
    tensors = {**manifest.tensors}
    tensors |= {state.next: tensors[state.tensor] for state in manifest.states}
    for graph in manifest.graphs:
        reads, writes = (
            {name: tensors[name] for name in names}
            for names in (graph.reads, graph.writes)
        )
        for network in graph.networks.values():
            with _naming(f"member {network.file!r}"):
                model = data[members[network.file]]
                require_network(model, network.opset, network.ir_version, reads, writes)
    for text in manifest.texts:
        with _naming(f"member {text.tokenizer!r}"):
            tensor = manifest.tensors[text.tensor]
            require_tokenizer(text, tensor, bytes(data[members[text.tokenizer]]))
    for output in manifest.outputs:
        if isinstance(output, TokensOutput):
            with _naming(f"member {output.tokenizer!r}"):
                require_detokenizer(output, bytes(data[members[output.tokenizer]]))
    for entry in manifest.inputs:
        if isinstance(entry, AudioInput):
            _inspect_features(entry, data, members)
    for sample in manifest.samples:
        _inspect_sample(manifest, sample, data, members)
    return manifest, members


def _inspect_features(
    audio: AudioInput, data: memoryview, members: dict[str, slice]
) -> None:
    for name, shape in audio.tables.items():
        with _naming(f"member {name!r}"):
            table = read_npy(data[members[name]])
        _require_array(name, table, "float32", shape)


def _inspect_sample(
    manifest: Manifest, sample: Sample, data: memoryview, members: dict[str, slice]
) -> None:
    arrays = {}
    results = {*sample.outputs.values()}  # of which there may be none, as of boxes
    for name in (*sample.inputs.values(), *results):
        with _naming(f"member {name!r}"):
            may_be_empty = name in results
            arrays[name] = read_npy(data[members[name]], may_be_empty=may_be_empty)
    for entry in manifest.sensors:
        member = sample.inputs[entry.name]
        _require_array(member, arrays[member], entry.dtype, entry.frame_shape)
    height, width = manifest.own_size
    for first in image_inputs(manifest.sensors)[:1]:
        height, width = arrays[sample.inputs[first.name]].shape[:2]
    sides = {"H": height, "W": width}
    for output in manifest.outputs:
        member = sample.outputs[output.name]
        form = output.expected or manifest.tensors[output.tensor]
        shape = tuple(sides.get(str(side), side) for side in form.shape)
        _require_array(member, arrays[member], form.dtype, shape)


def _require_array(
    member: str, array: NDArray[Any], dtype: str, shape: tuple[int | str, ...]
) -> None:
    fits = array.ndim == len(shape) and all(
        isinstance(want, str) or want == got
        for want, got in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        spelled = ", ".join(map(str, shape))
        raise BundleError(
            f"member {member!r} must be {dtype} ({spelled}), got {array.dtype} "
            f"{array.shape}."
        )


def _read_file(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path}: it is not a bundle: it is not a regular file.")
        if status.st_size > LARGEST_FILE:
            raise BundleError(f"{path}: it is not a bundle: it is 4 GiB or larger.")
        with path.open("rb") as file:
            if file.read(4) != b"PK\3\4":  # before reading all of some other file
                raise BundleError(f"{path}: it is not a bundle: it is not a zip file.")
            file.seek(0)
            return file.read()
    except OSError as err:
        raise _unreadable(path, err) from err


def _bytes_of(given: Any) -> tuple[Path, bytes]:
    """What a bundle that is not named by its path is called, and its bytes."""
    data, name = given, getattr(given, "name", None)
    if hasattr(given, "read"):
        try:
            data = given.read()
        except OSError as err:
            raise InputFileError(f"{name or 'path'} cannot be read: {err}.") from err
    if not isinstance(data, (bytes, bytearray, memoryview)):
        what = f"{type(given).__name__} of {type(data).__name__}"
        raise ArgumentError(
            "path must be a file's path, its bytes, or the file opened in binary mode, "
            f"got {type(given).__name__ if data is given else what}."
        )
    path = Path(name if isinstance(name, str) else "bytes")
    if len(data) > LARGEST_FILE:
        raise BundleError(f"{path}: it is not a bundle: it is 4 GiB or larger.")
    return path, bytes(data)


def _unreadable(path: Path, err: OSError) -> InputFileError:
    return InputFileError(f"{path} cannot be read: {err.strerror or err}.")


@contextmanager
def _naming(subject: object) -> Iterator[None]:
    """Begin the sentence of any refusal inside with what it is about."""
    try:
        yield
    except BundleError as err:
        raise type(err)(f"{subject}: {err}") from None
