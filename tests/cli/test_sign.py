"""``fuseg sign``, and ``--trust`` of the commands that run a bundle."""

from __future__ import annotations

import pytest

from fuseg.bundle import Bundle


def test_what_sign_writes_the_public_key_vouches_for(fuseg, sampled, keys, tmp_path):
    path = sampled()
    private, public = keys("ours")
    done = fuseg("sign", path, "--sign-key", private, "--json")
    digest = Bundle.open(path).digest
    assert (done.code, done.json) == (
        0,
        {"bundle": str(path), "digest": digest, "signature": f"{path}.sig"},
    )
    assert fuseg("sign", path, "--sign-key", private).stdout.split()[:2] == [
        "signed",
        "as",
    ]
    for trust in (public, digest):
        done = fuseg("verify", path, "--trust", trust)
        assert done.code == 0, done.stderr
    assert tmp_path / "sampled.fuseg.sig" in tmp_path.iterdir()


@pytest.mark.parametrize(
    "words",
    [("run", "--out", "o"), ("verify",), ("bench",), ("tune",)],
    ids=lambda w: w[0],
)
def test_a_bundle_that_is_not_trusted_runs_in_no_command(fuseg, sampled, words):
    path = sampled()
    command, *more = words
    done = fuseg(command, path, *more, "--trust", "0" * 64)
    assert done.code == 2
    message = " ".join(done.stderr.split())
    assert message.startswith(
        f"error: {path}: it does not have the sha256 that is trusted"
    )


def test_a_key_that_is_none_is_refused(fuseg, sampled, keys):
    path = sampled()
    done = fuseg("sign", path, "--sign-key", keys("ours")[1])
    assert done.code == 2
    assert "--sign-key must name a private Ed25519 key" in " ".join(done.stderr.split())
    assert not path.with_name("sampled.fuseg.sig").exists()
