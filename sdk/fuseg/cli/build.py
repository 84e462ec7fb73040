"""``fuseg build``: the TensorRT engine of a bundle, ahead of the first load."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ..backends.registry import variant_for
from ..backends.tensorrt import cache, engines, pack
from ..backends.tensorrt.build_progress import ProgressCallback
from ..backends.tensorrt.fingerprint import fingerprint_of
from ..backends.tensorrt.libraries import RTX, TENSORRT, Library
from ..bundle import Bundle
from ..errors import ArgumentError
from .build_report import as_json, show
from .options import JsonOption, VariantOption
from .printing import print_json

HELP = """Build the TensorRT engine of a bundle for this GPU, and cache it.

The build runs in a separate process and takes minutes. Loading with backend tensorrt
then uses the cached engine. A bundle of several graphs has an engine for each of them;
a pack holds them all.

With --target rtx the engine is TensorRT for RTX's: for all RTX GPUs of the 30, 40 and
50 series and GB10, built in seconds on any x86-64 Linux machine, with or without a GPU.
Loading with backend tensorrt-rtx uses it.

DLA is not supported: it only accepts implicit quantization, which current versions of
TensorRT no longer have on the GPU.
"""


def build(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="BUNDLE", help="A .fuseg file.", show_default=False),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            metavar="gpu|rtx",
            help="gpu: this machine's GPU; rtx: every GPU of TensorRT for RTX "
            '(pip install "fuseg[tensorrt-rtx]").',
        ),
    ] = "gpu",
    variant: VariantOption = None,
    workspace: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="MB",
            help="GPU memory that one layer may use besides its tensors, in MiB.",
            show_default="1024, or a quarter of the GPU's if that is less",
        ),
    ] = None,
    optimization_level: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=5,
            help="How long TensorRT searches for faster kernels.",
            show_default="TensorRT's own",
        ),
    ] = None,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible", help="Let other TensorRT versions run the engine."
        ),
    ] = False,
    hardware_compatible: Annotated[
        bool,
        typer.Option(
            "--hardware-compatible",
            help="Let any GPU from Ampere on run the engine; not on Jetson.",
        ),
    ] = False,
    io_formats: Annotated[
        str,
        typer.Option(
            help="auto: float16 or int8 inputs and outputs where that saves a "
            "conversion; or float32."
        ),
    ] = "auto",
    aux_streams: Annotated[
        int,
        typer.Option(
            min=0,
            max=64,
            metavar="N",
            help="CUDA streams on which the engine may run layers side by side. With "
            "any, it needs several times as much GPU memory for its tensors.",
        ),
    ] = 0,
    device: Annotated[int, typer.Option(min=0, help="Number of the GPU.")] = 0,
    pack_to: Annotated[
        Path | None,
        typer.Option(
            "--pack",
            metavar="OUT",
            help="Write the engine to a file, for identical devices.",
            show_default=False,
        ),
    ] = None,
    sign_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Sign the pack with this private Ed25519 key (PEM).",
            show_default=False,
        ),
    ] = None,
    pack_from: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PACK",
            help="Take the engine from a pack instead of building it.",
            show_default=False,
        ),
    ] = None,
    trust: Annotated[
        str | None,
        typer.Option(
            metavar="SHA256|KEYFILE",
            help="The sha256 that the pack must have, or the public Ed25519 key (PEM) "
            "that signed it.",
            show_default=False,
        ),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build it even if it is cached.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete cached engines and stop.")
    ] = False,
    keep_newest: Annotated[
        int | None,
        typer.Option(min=0, help="With --clear: engines to keep.", show_default="0"),
    ] = None,
    json: JsonOption = False,
) -> None:
    _require_usage(bundle, clear, pack_to, sign_key, pack_from, trust, rebuild)
    if keep_newest is not None and not clear:
        raise ArgumentError(
            "--keep-newest must be given with --clear, which it limits."
        )
    if bundle is None:
        _require_unset(
            {
                "--target": target != "gpu",
                "--variant": variant,
                "--workspace": workspace,
                "--optimization-level": optimization_level is not None,
                "--version-compatible": version_compatible,
                "--hardware-compatible": hardware_compatible,
                "--io-formats": io_formats != "auto",
                "--aux-streams": aux_streams,
                "--device": device,
                "--pack": pack_to,
                "--from": pack_from,
                "--rebuild": rebuild,
            },
            "--clear, which builds nothing",
        )
        result = _clear(keep_newest or 0)
    else:
        opened = Bundle.open(bundle)
        library = _library(
            target,
            {
                "--optimization-level": optimization_level is not None,
                "--version-compatible": version_compatible,
                "--hardware-compatible": hardware_compatible,
                "--device": device,
            },
        )
        about = engines.installed(library)
        options = engines.Options(
            workspace,
            optimization_level,
            version_compatible,
            hardware_compatible,
            io_formats,
            aux_streams,
        )
        backend = "tensorrt-rtx" if library is RTX else "tensorrt"
        chosen = variant_for(opened, backend, variant)
        properties = None if library is RTX else _properties(device)
        manifest = opened.manifest
        parts = [(g, manifest.precision_of(g, chosen)) for g in manifest.graphs]
        cache.prepare()  # before minutes are spent on what cannot be cached
        if pack_from is not None and trust is not None:
            wanted = [
                fingerprint_of(opened, *part, properties, about.identity, options)
                for part in parts
            ]
            made = pack.install(pack_from, trust, wanted)
        else:
            made = []
            for graph, own in parts:
                with _bar(engines.words(manifest, graph, own)) as show_progress:
                    made.append(
                        engines.engine_for(
                            opened,
                            graph,
                            own,
                            properties,
                            library=library,
                            options=options,
                            device=device,
                            rebuild=rebuild,
                            progress=show_progress,
                        )
                    )
        digest = None
        if pack_to is not None:
            digest = pack.write_pack(pack_to, made, sign_key)
        result = as_json(opened, chosen, made, pack_from, pack_to, digest)
    if json:
        print_json(result)
    else:
        show(result)


def _require_usage(
    bundle: Path | None,
    clear: bool,
    pack_to: Path | None,
    sign_key: Path | None,
    pack_from: Path | None,
    trust: str | None,
    rebuild: bool,
) -> None:
    if (bundle is None) != clear:
        raise ArgumentError("BUNDLE must be given, or --clear without one.")
    if (pack_from is None) != (trust is None):
        raise ArgumentError(
            "--from and --trust must be given together: an engine is code, so its "
            "sha256 or the key that signed it has to be trusted."
        )
    if sign_key is not None and pack_to is None:
        raise ArgumentError("--sign-key must be given with --pack, which it signs.")
    if pack_from is not None and (pack_to is not None or rebuild):
        raise ArgumentError(
            "--from must be given without --pack and --rebuild: it builds nothing."
        )


def _library(target: str, options: Mapping[str, Any]) -> Library:
    """Of a target; the options are those that TensorRT alone has."""
    if target not in ("gpu", "rtx"):
        raise ArgumentError(f"--target must be gpu or rtx, got {target!r}.")
    if target == "rtx":
        _require_unset(options, "--target rtx, whose engines fit every RTX GPU")
    return RTX if target == "rtx" else TENSORRT


def _require_unset(options: Mapping[str, Any], beside: str) -> None:
    for name, value in options.items():
        if value not in (None, False):
            raise ArgumentError(f"{name} must be left out with {beside}.")


def _properties(device: int) -> Any:
    from ..cuda import open_device

    return open_device(device).properties


@contextmanager
def _bar(name: str) -> Iterator[ProgressCallback | None]:
    """A bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[phase]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"building {name}", total=None, phase="")

        def show_progress(progress: engines.Progress) -> None:
            total = None if progress.fraction is None else 1.0
            done = progress.fraction or 0.0
            bar.update(task, total=total, completed=done, phase=progress.phase[:40])

        yield show_progress


def _clear(keep_newest: int) -> dict[str, Any]:
    gone = cache.clear(keep_newest)
    return {
        "deleted": [str(entry.path) for entry in gone],
        "bytes": sum(entry.bytes for entry in gone),
    }
