"""The manifest's variants, sample frames and files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .schema import Record, require, within

__all__ = [
    "File",
    "Sample",
    "Variant",
    "Verification",
    "is_member_name",
    "require_member",
]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

# What a variant's name promises: its precision's kind, and where it is meant to run.
_PROMISES = {
    "fp32": ("fp32", "any"),
    "fp16": ("fp16", "any"),
    "int8-cpu": ("int8", "cpu"),
    "int8-trt": ("int8", "tensorrt"),
    "int8-trt8": ("int8", "tensorrt-8"),
}
# What a precision says beside its kind: the words allowed, or None for a count.
_PRECISIONS: dict[str, dict[str, tuple[str, ...] | None]] = {
    "fp32": {},
    "fp16": {"float32_nodes": None},
    "int8": {
        "activations": ("uint8", "int8"),
        "rest": ("float32", "float16"),
        "calibration": ("minmax", "entropy", "percentile"),
        "frames": None,
        "float_nodes": None,
    },
}


def is_member_name(name: str) -> bool:
    """Say whether a bundle may hold a member of this name: relative, plain ASCII."""
    return len(name) <= 200 and _NAME.fullmatch(name) is not None


def require_member(key: str, name: str, suffix: str) -> None:
    """Refuse what is no name of a member of the bundle that ends so."""
    require(
        is_member_name(name) and name.endswith(suffix),
        f"{key} must be a member's name that ends in {suffix}, got {name[:80]!r}.",
    )


@dataclass(frozen=True)
class Verification(Record):
    """One stage of the export compared with the stage before it, on real frames.

    Attributes:
        stage: The stage that was checked.
        against: The stage it was compared with.
        frames: How many frame sets were compared.
        label_agreement: The share of equal results: of a segmentation of pixels with
            equal labels, of other kinds what the exporter takes for it.
        max_abs_logit_diff: The largest absolute difference of two values of the tensor.
        miou: Against true labels, if there were any.
        ignored_share: The share of true labels that ``miou`` leaves out.
        absent: Classes that do not occur in the true labels; ``miou`` leaves them out.
        output: The output that was compared, of a bundle with several; or
            ``OUTPUT-by-GRAPH``, as a stand-in makes it.
    """

    stage: str
    against: str
    frames: int = field(metadata=within(1))
    label_agreement: float = field(metadata=within(0, 1))
    max_abs_logit_diff: float = field(metadata=within(0))
    miou: float | None = field(default=None, metadata=within(0, 1))
    ignored_share: float | None = field(default=None, metadata=within(0, 1))
    absent: tuple[str, ...] = ()
    output: str | None = None


@dataclass(frozen=True)
class Variant(Record):
    """A precision of the whole program: where it runs, how well verified.

    In every variant the tensors between graphs have the same types and shapes.

    Attributes:
        name: ``fp32``, ``fp16``, ``int8-cpu``, ``int8-trt`` or ``int8-trt8``.
        targets: Where it is meant to run: ``any`` for fp32 and fp16, else ``cpu``,
            ``tensorrt`` or ``tensorrt-8``, as the name says.
        precision: ``kind`` is ``fp32``, ``fp16`` or ``int8``. fp16 adds
            ``float32_nodes`` (a count, as text); int8 adds ``activations`` (``uint8``,
            ``int8``), ``rest`` (``float32``, ``float16``), ``calibration``
            (``minmax``, ``entropy``, ``percentile``), and the counts ``frames`` and
            ``float_nodes``.
        verification: The stages it went through.
    """

    name: str
    targets: tuple[str, ...] = field(metadata={"key": "for"})
    precision: dict[str, str]
    verification: tuple[Verification, ...]

    def _check(self) -> None:
        require(
            self.name in _PROMISES,
            f"name must be one of {', '.join(_PROMISES)}, got {self.name[:80]!r}.",
        )
        kind, target = _PROMISES[self.name]
        require(
            self.targets == (target,),
            f"for must be [{target!r}] of {self.name}, got "
            f"{str(list(self.targets))[:80]}.",
        )
        require(
            self.precision.get("kind") == kind,
            f"precision.kind must be {kind!r} of {self.name}, got "
            f"{str(self.precision.get('kind'))[:80]!r}.",
        )
        _check_precision(self.precision)

    @property
    def fits_cpu(self) -> bool:
        """Whether it is meant to run on a CPU, also."""
        return not {"any", "cpu"}.isdisjoint(self.targets)


def _check_precision(precision: dict[str, str]) -> None:
    wanted = _PRECISIONS[precision["kind"]]
    keys = ["kind", *wanted]
    require(
        sorted(precision) == sorted(keys),
        f"precision must have the keys {', '.join(keys)}, got "
        f"{', '.join(precision)[:80]}.",
    )
    for key, words in wanted.items():
        value = precision[key]
        if words is None:
            require(
                re.fullmatch("[0-9]{1,9}", value) is not None,
                f"precision.{key} must be a count in digits, got {value[:80]!r}.",
            )
        else:
            require(
                value in words,
                f"precision.{key} must be one of {', '.join(words)}, got "
                f"{value[:80]!r}.",
            )


@dataclass(frozen=True)
class Sample(Record):
    """What every input is given, and what every output must then give.

    Attributes:
        inputs: By input name, the member that holds the frame; it ends in ``.npy``.
        outputs: By output name, the member that holds the result; it ends in ``.npy``.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]

    def _check(self) -> None:
        for key in ("inputs", "outputs"):
            for name, member in getattr(self, key).items():
                require_member(f"{key}.{name[:80]}", member, ".npy")


@dataclass(frozen=True)
class File(Record):
    """A member of the bundle.

    Attributes:
        sha256: 64 hexadecimal digits.
        bytes: Its size.
    """

    sha256: str
    bytes: int = field(metadata=within(0))

    def _check(self) -> None:
        require(
            re.fullmatch("[0-9a-f]{64}", self.sha256) is not None,
            f"sha256 must be 64 hexadecimal digits, got {self.sha256[:80]!r}.",
        )
