#!/usr/bin/env bash
# tests/checks/sanitize.sh PYTHON [pytest's arguments]
# All tests of the kernels, at every instruction set that this processor has, with
# AddressSanitizer and UndefinedBehaviorSanitizer; then those with fenced memory once
# more without, because the sanitizer does not see masked and gathered accesses.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$1
PATH=$(cd "$(dirname "$python")" && pwd):$PATH  # cmake and ninja of the environment

build() {  # FOLDER [cmake's arguments]: a copy of the package in FOLDER/fuseg
  cmake -S . -B "$1/build" -G Ninja -DPython_EXECUTABLE="$python" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" \
    -DFUSEG_CUDA=OFF "${@:2}" >"$1.configured"
  cmake --build "$1/build"
  rm -rf "$1/fuseg"
  cp -r sdk/fuseg "$1/fuseg"
  rm -f "$1"/fuseg/*.so
  cp "$1"/build/_kernels.*.so "$1/fuseg"
}

mkdir -p out/sanitize
build out/sanitize/plain
build out/sanitize/watched -DFUSEG_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo

"$python" tests/checks/simd_objects.py out/sanitize/plain/build

# Without the environment's .pth files, one of which brings the package that is being
# worked on; with its packages.
packages=$("$python" -c 'import numpy, pathlib; print(pathlib.Path(numpy.__file__).parents[1])')
pytest() {  # FOLDER [pytest's arguments]
  PYTHONPATH=$1:$packages PYTHONDONTWRITEBYTECODE=1 \
    "$python" -S -m pytest tests/kernels -p no:cacheprovider -q "${@:2}"
}
levels=$("$python" -c 'from fuseg import _kernels; print(*_kernels.levels())')
runtimes="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so)"

for level in $levels; do
  echo "level $level, watched by the sanitizers"
  FUSEG_LEVEL=$level PYTHONMALLOC=malloc LD_PRELOAD=$runtimes \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
    UBSAN_OPTIONS=print_stacktrace=1 \
    pytest out/sanitize/watched --capture=sys -m 'not slow' "${@:2}"
  echo "level $level, fenced"
  FUSEG_LEVEL=$level pytest out/sanitize/plain -m fenced "${@:2}"
done
echo "what the fence catches and the sanitizer misses"
pytest out/sanitize/plain -k 'test_fence'
