"""``fuseg sign``: a signature beside a bundle, for whoever trusts the key."""

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
            help="Private Ed25519 key (PEM, no password), as `openssl genpkey "
            "-algorithm ed25519` makes one.",
            show_default=False,
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Sign a bundle: the signature is a file beside it, BUNDLE.sig.

    Where the bundle goes, it goes too. --trust of the other commands, and trust= of
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
