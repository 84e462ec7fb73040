#!/usr/bin/env bash
# checks/neon.sh PYTHON [pytest's arguments]
# Builds the kernels for aarch64 in out/neon and runs their tests in an emulator, on the
# oldest processor that counts. What needs torch is skipped; hypothesis tries 100 examples.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 root=$PWD/out/arm64/root version=$(cat out/arm64/python)
mkdir -p out/neon

PATH=$(cd "$(dirname "$python")" && pwd):$PATH  # cmake and ninja of the environment
cmake -S . -B out/neon/build -G Ninja \
  -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake" \
  -DARM64_ROOT="$root" -DARM64_PYTHON="$version" -DPython_EXECUTABLE="$python" \
  -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" -DFUSEG_CUDA=OFF >out/neon/configured
cmake --build out/neon/build
rm -rf out/neon/fuseg
cp -r sdk/fuseg out/neon/fuseg
rm -f out/neon/fuseg/*.so
cp out/neon/build/_kernels.*.so out/neon/fuseg
PYTHONPATH=out/neon:out/arm64/site PYTHONDONTWRITEBYTECODE=1 FUSEG_EXAMPLES=100 \
  qemu-aarch64 -cpu cortex-a57 -L "$root" "$root/usr/bin/python$version" \
  -m pytest tests/kernels -m 'not slow' -p no:cacheprovider "${@:2}"
