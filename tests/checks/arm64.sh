#!/usr/bin/env bash
# An arm64 Debian with Python, unpacked into out/arm64/root, and the packages of the
# tests in out/arm64/site. This machine's own package lists and settings stay untouched.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
missing=()
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
test -e $keyring || missing+=(debian-archive-keyring)
if ((${#missing[@]})); then
  echo "Building and testing for aarch64 needs: apt-get install ${missing[*]}" >&2
  exit 1
fi

here=$PWD/out/arm64
rm -rf "$here" && mkdir -p "$here"/apt/{lists,cache/archives}/partial "$here/root"
suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME" || echo bookworm)
echo "deb [signed-by=$keyring] http://deb.debian.org/debian $suite main" >"$here/apt/sources"
touch "$here/apt/status"
cat >"$here/apt/conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Dir::State "$here/apt";
Dir::State::status "$here/apt/status";
Dir::Cache "$here/apt/cache";
Dir::Etc::sourcelist "$here/apt/sources";
Dir::Etc::sourceparts "-";
END
export APT_CONFIG=$here/apt/conf
apt-get -qq update
apt-get -qq install -y --download-only --no-install-recommends \
  python3-minimal libpython3-stdlib libstdc++6
version=$(basename "$here"/apt/cache/archives/python3.*-minimal_*.deb)
version=${version#python} version=${version%%-minimal*}
(cd "$here/apt/cache/archives" && apt-get -qq download "libpython$version-dev")
for package in "$here"/apt/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$here/root"
done
rm -rf "$here/apt"
echo "$version" >"$here/python"

# The pins that hold for this Python; what has no wheel for it is left out: torch.
"$python" -m pip install --quiet --disable-pip-version-check --no-warn-conflicts \
  --target "$here/site" --only-binary=:all: --implementation cp \
  --python-version "$version" --platform manylinux_2_28_aarch64 \
  --platform manylinux2014_aarch64 -c constraints.txt \
  numpy pytest hypothesis opencv-python-headless
