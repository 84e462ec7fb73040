"""The ``fuseg`` command: it parses, calls and prints.

Exit codes: 0 success; 1 a check failed, or there was nothing to check; 2 bad input or
usage; 130 Ctrl-C; 141 nobody reads the output any more. What the user can fix is one
sentence on stderr (with ``--json`` also an object on stdout); a traceback is a defect
of fuseg.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from .._version import __version__
from ..errors import FusegError
from . import (
    bench,
    build,
    doctor,
    explain,
    inspect,
    run,
    sign,
    training_half,
    tune,
    verify,
)
from .printing import print_json, report, say
from .wording import in_options

__all__ = ["app", "main"]

_JSON, _NAME = "fuseg.cli.json", "fuseg.cli.name"
# Typer's root of "the words on the command line are wrong"; 0.12 to 0.29 keep it in
# different modules, always as the parent of this public name.
_UsageError: Any = typer.BadParameter.__mro__[1]


class _Group(typer.core.TyperGroup):
    """Loads the training half's commands when called, and reports all errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        ctx.meta[_NAME] = name
        if name in training_half.COMMANDS:
            command = _as_command(name, training_half.load(name))
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except KeyboardInterrupt as err:  # Typer before 0.13 would end with 1
            if ctx.meta[_JSON]:
                _print_error("KeyboardInterrupt", "interrupted.")
            raise typer.Exit(130) from err
        except BrokenPipeError as err:
            _settle_stdout()
            raise typer.Exit(141) from err
        except FusegError as err:
            _report(err, in_options(err), json=ctx.meta[_JSON])
        except ModuleNotFoundError as err:
            sentence = training_half.what_to_install(err, ctx.meta[_NAME])
            if sentence is None:
                raise
            _report(err, sentence, json=ctx.meta[_JSON])
        except OSError as err:  # as when stdout is a file on a full disk
            _settle_stdout()
            _report(err, f"the system refused: {err}.", json=ctx.meta[_JSON])
        except _UsageError as err:
            if ctx.meta[_JSON]:
                _print_error("UsageError", err.format_message())
            raise
        raise typer.Exit(2)


app = typer.Typer(
    cls=_Group,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: paragraphs are wrapped as such, flags are bare
)


@app.callback(invoke_without_command=True)
def _fuseg(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.")
    ] = False,
) -> None:
    """Fusion segmentation on the edge: camera frames in, a label per pixel out."""
    if version:
        say(f"fuseg {__version__}")
    elif ctx.invoked_subcommand is None:
        print(ctx.get_help())


app.command("run")(run.run)
app.command("inspect")(inspect.inspect)
app.command("verify")(verify.verify)
app.command("explain")(explain.explain)
app.command("bench")(bench.bench)
app.command("tune")(tune.tune)
app.command("build", help=build.HELP)(build.build)
app.command("sign")(sign.sign)
app.command("doctor")(doctor.doctor)
for _name, _help in training_half.COMMANDS.items():
    # Only a line of `fuseg --help`: `resolve_command` puts the real one in its place.
    app.command(_name, help=_help)(lambda: None)


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold bytes that are no text.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    app()


def _open_closed_streams() -> None:
    """Give a daemon without standard streams (``>&-``) ones that lead nowhere.

    Else the next file that is opened would be stdout to every library in C.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def _as_command(name: str, function: Any) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(function)
    return typer.main.get_command(alone)


def _report(err: Exception, sentence: str, *, json: bool) -> None:
    report("error", sentence)
    if json:
        with suppress(OSError):  # stdout may be what failed
            _print_error(type(err).__name__, sentence)
        _settle_stdout()


def _print_error(kind: str, sentence: str) -> None:
    print_json({"error": {"type": kind, "message": sentence}})


def _settle_stdout() -> None:
    """Flush; if that fails, let the rest go nowhere, also what Python flushes last."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
