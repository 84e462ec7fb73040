"""A bundle is the one that somebody vouches for, or it is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import fuseg
from fuseg import errors
from fuseg.bundle import Bundle
from fuseg.bundle.signing import sign_bundle
from fuseg.selection import first_run


@pytest.fixture
def path(sampled):
    return sampled()


@pytest.fixture
def refused(path):
    """``refused(trust)``: the sentence, without the bundle's name."""

    def look(trust):
        with pytest.raises(errors.BundleError) as caught:
            fuseg.load(path, trust=trust)
        return str(caught.value).removeprefix(f"{path}: ")

    return look


@pytest.mark.usefixtures("first_run_child")
@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_a_file_with_the_trusted_sha256_needs_no_process(
    path, monkeypatch, frames, spelled
):
    digest = Bundle.open(path).digest
    wanted = fuseg.load(path)(**frames()).labels
    monkeypatch.setattr("fuseg.selection.tuning_cache.has_passed", lambda *_: False)
    monkeypatch.delattr(first_run, "in_child")
    found = fuseg.load(path, trust=spelled(digest))(**frames()).labels
    assert (found == wanted).all()


def test_another_sha256_is_refused_and_the_sentence_has_the_right_one(path, refused):
    digest = Bundle.open(path).digest
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    message = refused(other)
    assert message.startswith("it does not have the sha256 that is trusted but ")
    assert fuseg.load(
        path, trust=message.split("but ")[1][:64]
    )  # what the sentence says


@pytest.mark.usefixtures("first_run_child")
def test_a_signed_bundle_needs_no_process_for_who_trusts_the_key(
    path, keys, monkeypatch, tmp_path
):
    private, public = keys("ours")
    made = sign_bundle(Bundle.open(path), private)
    assert made == tmp_path / "sampled.fuseg.sig"
    monkeypatch.delattr(first_run, "in_child")
    for trust in (public, str(public)):
        assert fuseg.load(path, trust=trust)


def test_the_signature_is_of_the_digest_by_ed25519(path, keys):
    """The definition, with nothing of fuseg but the digest."""
    private, public = keys("ours")
    signature = sign_bundle(Bundle.open(path), private).read_bytes()
    digest = Bundle.open(path).digest
    key = serialization.load_pem_public_key(public.read_bytes())
    key.verify(signature, b"fuseg bundle 1\0" + bytes.fromhex(digest))


def test_who_signed_another_file_or_nothing_is_not_trusted(path, keys, refused, rgbd):
    (private, public), (_, others) = keys("ours"), keys("theirs")
    assert refused(public).startswith("it is not signed: sign it with --sign-key")
    signature = sign_bundle(Bundle.open(path), private)
    assert refused(others).startswith(f"its signature is not by the key of {others}")
    sign_bundle(Bundle.open(rgbd.path), private).rename(signature)
    assert refused(public).startswith("its signature is not by the key of")
    for damaged in (b"", b"x" * 64, b"x" * 63):
        signature.write_bytes(damaged)
        assert refused(public).startswith("its signature is not by the key of")


def test_the_labels_of_a_trusted_bundle_are_checked_all_the_same(
    sampled, with_variants, rgbd, onnx_of
):
    wrong = onnx_of(rgbd, bias=rgbd.bias + np.float32([3, 0, 0, 0]))
    path = with_variants(sampled(), {"fp32": wrong})
    with pytest.raises(errors.BackendError, match="of a sample agree"):
        fuseg.load(path, trust=Bundle.open(path).digest)


@pytest.mark.parametrize(
    ("trust", "sentence"),
    [
        ("f" * 63, "which is not a file"),
        ("no-such.pub", "got 'no-such.pub', which is not a file"),
        (5, "got int"),
        (b"x" * 64, "got bytes"),
    ],
)
def test_what_is_no_digest_and_no_key_is_refused(path, trust, sentence):
    with pytest.raises(errors.ArgumentError, match=f"^trust must be .*{sentence}"):
        fuseg.load(path, trust=trust)


def test_a_file_that_is_no_public_ed25519_key_is_refused(path, keys):
    def weak():
        return rsa.generate_private_key(65537, 1024)

    for wrong in (path, keys("ours")[0], keys("rsa", weak)[1]):
        with pytest.raises(errors.ArgumentError, match="a public Ed25519 key in PEM"):
            fuseg.load(path, trust=wrong)


def test_a_digest_needs_no_package_for_keys(path):
    code = (
        "import sys, fuseg; sys.modules['cryptography'] = None;"
        "from fuseg.bundle import Bundle; from fuseg.bundle.signing import *;"
        "require_trusted(Bundle.open(sys.argv[1]), sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(path), Bundle.open(path).digest]
    subprocess.run(command, check=True)
    done = subprocess.run([*command[:-1], str(path)], capture_output=True, check=False)
    assert b'pip install "fuseg[sign]"' in done.stderr
