"""A torch network as an ONNX graph: pure, and the same every time."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from fuseg.errors import ArgumentError, ExportError

from .dimensions import Shape, named_axes, with_names
from .errors import first_sentence
from .passes.rewrite import free
from .passes.tidy import all_nodes, tidy
from .stdout import no_log, stdout_to

__all__ = ["EXPORTERS", "OPSETS", "Exported", "finish", "to_onnx"]

OPSETS = range(13, 21)  # 13: Softmax is by axis; 20: the last one TorchScript writes
EXPORTERS = ("torchscript", "dynamo")
_DYNAMO_OPSET = 18  # asked for an older one, it silently writes this
_TORCH = Path(torch.__file__).parent  # whose own modules know what is constant
_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


@dataclass(frozen=True)
class Exported:
    """An ONNX graph, and how it was made.

    Attributes:
        model: Inputs and outputs as given.
        exporter: "torchscript" or "dynamo"; "file" if it was a file's.
        opset: Of the graph; newer than asked for if TorchScript failed, or a file's.
        warnings: What the user should know, a sentence each.
    """

    model: onnx.ModelProto
    exporter: str
    opset: int
    warnings: tuple[str, ...]


def to_onnx(
    network: nn.Module,
    example: Mapping[str, Tensor],
    opset: int,
    outputs: Sequence[str] = ("output",),
    *,
    given: Mapping[str, Shape] | None = None,
    returned: Sequence[Shape] = (),
    exporter: str | None = None,
    failed: Exception | None = None,
) -> Exported:
    """Export a network with the shapes of ``example``, or with named dimensions.

    TorchScript first, because it keeps to ``opset``; torch's newer exporter if that
    fails. The graph holds nothing of this machine, folder or time.

    Args:
        network: In eval mode, on the CPU.
        example: A tensor for each of its positional arguments, by the name it gets
            in the graph.
        opset: 13 to 20.
        outputs: What the graph calls what the network returns, with an underscore
            behind it where an input has that name.
        given: The inputs' shapes with names of dimensions; those of the example if
            omitted.
        returned: The outputs'.
        exporter: One of ``EXPORTERS``, alone.
        failed: Why TorchScript's graph is of no use, where it has been tried.

    Raises:
        ArgumentError: ``opset`` is another one.
        ExportError: The exporters fail, or the network draws random numbers, trains
            its normalisation, ignores an input or needs operators beyond ONNX's own;
            or TorchScript fails on one with dimensions.
    """
    if opset not in OPSETS:
        raise ArgumentError(
            f"--opset must be {OPSETS[0]} to {OPSETS[-1]}, got {opset}."
        )
    if exporter not in (None, *EXPORTERS):
        raise ArgumentError(
            f"--exporter must be {' or '.join(EXPORTERS)}, got {exporter}."
        )
    taken = set(example)
    names = [free(taken, name) for name in outputs]
    shapes = {**(given or {}), **dict(zip(names, returned, strict=False))}
    axes = {name: named for name in shapes if (named := named_axes(shapes[name]))}
    model = None
    if exporter != "dynamo":
        try:
            model, said = _by_torchscript(network, example, names, opset, axes)
        except Exception as err:  # noqa: BLE001 - tracing runs foreign code
            failed = err
    used = "torchscript" if model is not None else "dynamo"
    if model is None:
        _require_dynamo(exporter, failed, axes)
        newer = max(opset, _DYNAMO_OPSET)
        model = _by_dynamo(network, example, names, newer, failed)
        said = (_why_dynamo(failed, model),)
    if axes:
        with_names(model, shapes)
    finish(model, list(example))
    got = model.opset_import[0].version
    if used == "torchscript" and got != opset:
        raise ExportError(
            f"torch wrote opset {got} where {opset} was asked for: use the torch that "
            "fuseg's constraints.txt names."
        )
    return Exported(model, used, got, said)


def finish(model: onnx.ModelProto, inputs: Sequence[str]) -> None:
    """Make a graph clean, and refuse one that cannot be verified.

    Raises:
        ExportError: It is not valid, draws random numbers, trains its normalisation,
            ignores one of these inputs or needs operators beyond ONNX's own.
    """
    tidy(model)
    _refuse_impure(model)
    _refuse_other_inputs(model, inputs)


def _require_dynamo(
    exporter: str | None, failed: Exception | None, axes: Collection[str]
) -> None:
    """Refuse torch's newer exporter where the user forced the other one, or where it
    is not used."""
    why = "" if failed is None else f" ({first_sentence(failed)})"
    if exporter == EXPORTERS[0]:
        raise ExportError(
            f"TorchScript cannot export this network{why}: leave out --exporter, and "
            "torch's newer exporter is tried."
        ) from failed
    if axes:
        before = f"TorchScript cannot export this network{why}, and " * bool(failed)
        raise ExportError(
            f"{before}torch's newer exporter is not used where sizes change: change "
            f"its forward, or leave out the dimension of {', '.join(axes)}."
        ) from failed


def _by_torchscript(
    network: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    opset: int,
    axes: Mapping[str, Mapping[int, str]],
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    file = io.BytesIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        open(os.devnull, "w") as nowhere,
        stdout_to(nowhere.fileno()),  # a failing export prints its whole graph
        torch.no_grad(),
    ):
        warnings.simplefilter("always")
        torch.onnx.export(
            network,
            tuple(example.values()),
            file,  # type: ignore[arg-type] # a file of bytes is documented
            dynamo=False,
            opset_version=opset,
            do_constant_folding=True,
            training=torch.onnx.TrainingMode.EVAL,
            input_names=list(example),
            output_names=list(outputs),
            dynamic_axes={name: dict(named) for name, named in axes.items()},
        )
    baked = sum(
        w.category.__name__ == "TracerWarning"
        and _TORCH not in Path(w.filename).parents
        for w in caught
    )
    said = (
        f"tracing made constants of {baked} decisions that forward takes on values: "
        "the graph takes the same path for every frame"
    )
    return onnx.load_from_string(file.getvalue()), (said,) if baked else ()


def _by_dynamo(
    network: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    opset: int,
    failed: Exception | None,
) -> onnx.ModelProto:
    first = "" if failed is None else first_sentence(failed)
    try:
        with warnings.catch_warnings(), no_log():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                tuple(example.values()),
                dynamo=True,
                opset_version=opset,
                external_data=False,
                input_names=list(example),
                output_names=list(outputs),
                verbose=False,
            )
    except ModuleNotFoundError as err:
        before = f"TorchScript cannot export this network ({first}), and " * bool(first)
        raise ExportError(
            f"{before}torch's newer exporter needs {err.name}: pip install {err.name}."
        ) from err
    except Exception as err:  # tracing runs foreign code, which may raise anything
        before = f"TorchScript says {first}; " * bool(first)
        raise ExportError(
            f"torch cannot export this network to ONNX: {before}the newer exporter "
            f"says {first_sentence(err)}."
        ) from err
    if program is None:
        raise ExportError("torch's newer exporter returned no program.")
    return program.model_proto


def _why_dynamo(failed: Exception | None, model: onnx.ModelProto) -> str:
    opset = max(o.version for o in model.opset_import if o.domain == "")
    if failed is None:
        return f"torch's newer exporter wrote opset {opset}"
    return (
        f"TorchScript cannot export this network ({first_sentence(failed)}), so "
        f"torch's newer exporter did, in opset {opset}"
    )


def _refuse_impure(model: onnx.ModelProto) -> None:
    for node in all_nodes(model.graph):
        training = any(a.name == "training_mode" and a.i for a in node.attribute)
        if node.op_type in _RANDOM:
            raise ExportError(
                f"the network draws random numbers ({node.op_type}, node {node.name}), "
                "so it would label one frame in two ways: draw them once, when it is "
                "built."
            )
        if training:
            raise ExportError(
                f"the network normalises with the statistics of the frame it is given "
                f"({node.op_type} in training mode, node {node.name}): let forward use "
                "the trained ones."
            )


def _refuse_other_inputs(model: onnx.ModelProto, names: Sequence[str]) -> None:
    used = {name for node in all_nodes(model.graph) for name in node.input}
    present = {i.name for i in model.graph.input}
    ignored = [name for name in names if name not in used & present]
    if ignored:
        raise ExportError(
            f"the network does not use its input {', '.join(ignored)}: leave it out, "
            "or look at what forward does with it."
        )
