"""A pack is taken where it was meant for, from whom somebody trusts, or not at all."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fuseg.backends.tensorrt import cache, pack
from fuseg.backends.tensorrt.record import read_file, write_file
from fuseg.bundle.container import pack as container
from fuseg.errors import ArgumentError, BundleError, InputFileError


@pytest.fixture
def made(trt10, engine):
    """An engine that was built here; the cache is empty again."""
    found = engine("fp16")
    cache.clear()
    assert len(trt10.builds()) == 1
    return found


def refused(path, trust, made, sentence):
    """It is, with this sentence, and nothing is in the cache."""
    with pytest.raises(BundleError, match=sentence) as caught:
        pack.install(path, str(trust), [made.fingerprint])
    assert str(path) in str(caught.value)
    assert cache.look_up(made.fingerprint) is None


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_round_trip_by_digest(made, engine, tmp_path, trt10):
    path = tmp_path / "out" / "it.pack"
    digest = pack.write_pack(path, [made])
    assert digest == sha256(path)
    (there,) = pack.install(path, digest.upper(), [made.fingerprint])
    assert bytes(there.plan) == bytes(made.plan)
    assert there.record == replace(made.record, seconds=None)
    found = engine("fp16")
    assert not found.built
    assert bytes(found.plan) == bytes(made.plan)
    assert len(trt10.builds()) == 1


def test_round_trip_by_signature(made, keys, tmp_path, engine):
    private, public = keys("ours")
    path = tmp_path / "it.pack"
    pack.write_pack(path, [made], private)
    pack.install(path, str(public), [made.fingerprint])
    assert not engine("fp16").built


def test_another_digest(made, tmp_path):
    path = tmp_path / "it.pack"
    pack.write_pack(path, [made])
    refused(path, "0" * 64, made, "does not have the sha256 that is trusted")


def test_a_pack_brings_the_timings_that_the_next_engine_is_built_with(
    trt10, engine, tmp_path, keys
):
    private, public = keys("ours")
    path, built = tmp_path / "it.pack", engine("fp16")
    kept = cache.timing_cache(built.fingerprint)
    timings = kept.read_bytes()
    pack.write_pack(path, [built], private)
    cache.clear()
    kept.write_bytes(b"of other builds")
    kept.chmod(0o600)
    pack.install(path, str(public), [built.fingerprint])
    assert kept.read_bytes() == timings
    assert not engine("fp16").built
    file = read_file(path.read_bytes())
    other = bytes(file.timings) + b" "
    path.write_bytes(write_file(file.record, bytes(file.plan), file.signature, other))
    cache.clear()
    refused(path, public, built, "size and sha256 of its timings must be")
    assert not kept.exists()
    assert len(trt10.builds()) == 1


def test_no_signature(made, keys, tmp_path):
    _, public = keys("ours")
    path = tmp_path / "it.pack"
    pack.write_pack(path, [made])
    refused(path, public, made, "it is not signed: sign it with --sign-key")


def test_a_signature_of_somebody_else(made, keys, tmp_path):
    _, public = keys("ours")
    theirs, _ = keys("theirs")
    path = tmp_path / "it.pack"
    pack.write_pack(path, [made], theirs)
    refused(path, public, made, "signature is not by the key of")


def test_a_signature_of_another_engine(made, engine, keys, tmp_path):
    private, public = keys("ours")
    path = tmp_path / "it.pack"
    pack.write_pack(path, [engine("fp32")], private)
    signature = read_file(path.read_bytes()).signature
    path.write_bytes(write_file(made.record.dump(), bytes(made.plan), signature))
    cache.clear()
    refused(path, public, made, "signature is not by the key of")


def test_another_plan_under_a_good_signature(made, keys, tmp_path):
    private, public = keys("ours")
    path = tmp_path / "it.pack"
    pack.write_pack(path, [made], private)
    file = read_file(path.read_bytes())
    other = bytes(file.plan)[:-1] + b"!"
    path.write_bytes(write_file(file.record, other, file.signature))
    refused(path, public, made, "size and sha256 of its plan must be")


def test_a_plain_signature_over_the_record_is_none(made, keys, tmp_path):
    """What is signed says that it is an engine pack: no other use of a key fits."""
    private, public = keys("ours")
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    record = made.record.dump()
    path = tmp_path / "it.pack"
    path.write_bytes(write_file(record, bytes(made.plan), key.sign(record)))
    refused(path, public, made, "signature is not by the key of")


def test_it_is_for_exactly_what_this_device_would_build(made, facts, bundle, tmp_path):
    from fuseg.backends.tensorrt.fingerprint import Options, fingerprint_of

    path = tmp_path / "it.pack"
    digest = pack.write_pack(path, [made])
    (net,) = bundle.manifest.graphs
    (variant,) = [v for v in bundle.manifest.variants if v.name == "fp16"]

    def fingerprint(facts=facts, tensorrt="10.3.0", **options):
        return fingerprint_of(bundle, net, variant, facts, tensorrt, Options(**options))

    assert fingerprint() == made.fingerprint
    others = {
        "gpu 'Other' here and 'Pretend GPU' in the pack": fingerprint(
            replace(facts, name="Other")
        ),
        "capability '8.9' here and '8.7'": fingerprint(
            replace(facts, capability=(8, 9))
        ),
        "memory_mb 4096 here and 8192": fingerprint(
            replace(facts, memory_bytes=4 << 30), workspace_mb=1024
        ),
        "driver '12.8' here and '12.6'": fingerprint(replace(facts, driver="12.8")),
        "tensorrt '10.3.1' here and '10.3.0'": fingerprint(tensorrt="10.3.1"),
        "workspace_mb 7 here and 1024": fingerprint(workspace_mb=7),
        "optimization_level 2 here and None": fingerprint(optimization_level=2),
        "io_formats 'float32' here and 'auto'": fingerprint(io_formats="float32"),
        "version_compatible True here and False": fingerprint(version_compatible=True),
        "bundle '0000": replace(made.fingerprint, bundle="0" * 64),
        "onnx '0000": replace(made.fingerprint, onnx="0" * 64),
        "variant 'fp32' here and 'fp16'": replace(made.fingerprint, variant="fp32"),
    }
    for sentence, wanted in others.items():
        with pytest.raises(BundleError, match="not what this device would") as caught:
            pack.install(path, digest, [wanted])
        assert sentence in str(caught.value)
        assert ", " not in str(caught.value).split("build: ")[1].split(". Build")[0]
        assert cache.look_up(wanted) is None


def test_hostile_packs_are_refused_with_a_sentence(made, tmp_path):
    """Every one of them is trusted by its digest: it is what follows that is tried."""
    record, plan = made.record.dump(), bytes(made.plan)
    good = write_file(record, plan)
    deep = b'{"format": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    rng = random.Random(1)
    hostile = {
        "empty": b"",
        "text": b"not a pack at all" * 100,
        "cut": good[:-30],
        "longer": good + b"\0",
        "no plan": container(record, {}),
        "more": container(record, {"engine.plan": plan, "x.py": b"print()"}),
        "renamed": container(record, {"engine.trt": plan}),
        "no json": write_file(b"\x80\x04.", plan),
        "a list": write_file(b"[1]", plan),
        "deep": write_file(deep, plan),
        "twice": write_file(record.replace(b"{", b'{"format": 1, ', 1), plan),
        "unknown key": write_file(record.replace(b"{", b'{"code": "x", ', 1), plan),
        "format 2": write_file(record.replace(b'"format": 1', b'"format": 2'), plan),
        "not a number": write_file(
            record.replace(b'"seconds": ', b'"seconds": NaN'), plan
        ),
        "a terminal's code": write_file(
            record.replace(b"Pretend GPU", b"\\u001b[2JGPU"), plan
        ),
        "a layout": write_file(record.replace(b'"hwc8"', b'"hwc9"'), plan),
        "huge": write_file(record.replace(b"8192", b"9" * 5000), plan),
        "other plan": write_file(record, plan[:-1] + b"?"),
        "longer plan": write_file(record, plan + b"?"),
    }
    for number in range(40):
        data = bytearray(good)
        for _ in range(3):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        hostile[f"flipped {number}"] = bytes(data)
    path = tmp_path / "it.pack"
    for name, data in hostile.items():
        path.write_bytes(data)
        try:
            refused(path, hashlib.sha256(data).hexdigest(), made, "engine pack")
        except BaseException:
            print(name)
            raise


def test_what_is_no_regular_file_is_refused(made, tmp_path):
    for path in (tmp_path, tmp_path / "absent", "/dev/zero"):
        with pytest.raises(InputFileError):
            pack.install(type(tmp_path)(path), "0" * 64, [made.fingerprint])


def test_keys_that_are_none(made, keys, tmp_path):
    def generate_rsa():
        return rsa.generate_private_key(65537, 1024)

    private, public = keys("ours")
    other_private, other_public = keys("rsa", generate_rsa)
    noise = tmp_path / "noise"
    noise.write_bytes(b"noise")
    path = tmp_path / "it.pack"
    for key in (other_private, public, noise):
        with pytest.raises(ArgumentError, match="private Ed25519 key in PEM form"):
            pack.write_pack(path, [made], key)
        assert not path.exists()
    pack.write_pack(path, [made], private)
    for key in (other_public, private, noise):
        with pytest.raises(ArgumentError, match="public Ed25519 key in PEM form"):
            pack.install(path, str(key), [made.fingerprint])
    with pytest.raises(InputFileError, match="cannot be read: No such file"):
        pack.install(path, str(tmp_path / "absent"), [made.fingerprint])


def test_without_cryptography_only_keys_are_refused(made, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    path = tmp_path / "it.pack"
    digest = pack.write_pack(path, [made])
    with pytest.raises(ArgumentError, match=r"fuseg\[sign\]"):
        pack.write_pack(path, [made], path)
    with pytest.raises(ArgumentError, match=r"fuseg\[sign\]"):
        pack.install(path, str(path), [made.fingerprint])
    (there,) = pack.install(path, digest, [made.fingerprint])
    assert there.plan == made.plan
