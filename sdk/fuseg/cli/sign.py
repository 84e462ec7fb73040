"""``fuseg sign``: a signature next to a bundle, for those who trust the key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..bundle import Bundle
from ..bundle.signing import sign_bundle
from .options import BundleArgument, JsonOption
from .printing import print_json, say


def sign(
    bundle: BundleArgument,
    sign_key: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Private Ed25519 key (PEM, no password), such as `openssl genpkey "
            "-algorithm ed25519` makes.",
            show_default=False,
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Sign a bundle: write BUNDLE.sig next to it.

    Keep the two files together. --trust of the other commands, and trust= of
    fuseg.load, take the public key.
    """
    opened = Bundle.open(bundle)
    path = sign_bundle(opened, sign_key)
    if json:
        print_json(
            {"bundle": str(bundle), "digest": opened.digest, "signature": str(path)}
        )
        return
    say(f"signed as {path}, sha256 {opened.digest}")
