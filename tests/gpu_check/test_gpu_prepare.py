"""What gpu_prepare.py makes of wheels, with small stand-ins for those of NVIDIA."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import gpu_chunks
import gpu_prepare
import gpu_tensorrt86
import pytest


@pytest.fixture
def wheel(tmp_path):
    """``wheel(folder, {name: bytes})``: where `download` would have put it."""

    def make(folder, members):
        path = tmp_path / "wheels" / folder / "stand_in-1-py3-none-any.whl"
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    return make


def test_of_tensorrts_wheel_the_five_libraries_are_packed(wheel, tmp_path):
    members = {f"tensorrt/{name}": name.encode() for name in gpu_tensorrt86.WANTED}
    wheel("tensorrt", members | {"tensorrt/tensorrt.so": b"?", "tensorrt/x.py": b"?"})
    gpu_tensorrt86.libraries(tmp_path, tmp_path / "chunks")
    told = gpu_chunks.unpack(tmp_path / "chunks", tmp_path / "out")
    assert told == {"tensorrt": "unpacked"}
    found = {p.name: p.read_bytes() for p in (tmp_path / "out/tensorrt").glob("lib*")}
    assert found == {name: name.encode() for name in gpu_tensorrt86.WANTED}
    assert not (tmp_path / "out" / "tensorrt" / "x.py").exists()


def test_of_onnxruntimes_wheel_the_cuda_provider_is_packed(wheel, tmp_path):
    kept = {
        "onnxruntime/__init__.py": b"a",
        "onnxruntime/capi/libonnxruntime_providers_cuda.so": b"b",
        "onnxruntime_gpu-1.dist-info/METADATA": b"c",
    }
    dropped = {
        "onnxruntime/capi/libonnxruntime_providers_tensorrt.so": b"d",
        "onnxruntime/transformers/benchmark.py": b"e",
    }
    wheel("onnxruntime-cp312", kept | dropped)
    gpu_prepare.onnxruntime("3.12")(tmp_path, tmp_path / "chunks")
    assert gpu_prepare.whole(tmp_path / "chunks", "onnxruntime-cp312")
    gpu_chunks.unpack(tmp_path / "chunks", tmp_path / "out")
    made = tmp_path / "out" / "onnxruntime-cp312"
    files = [path for path in made.rglob("*") if path.is_file()]
    found = {str(path.relative_to(made)): path.read_bytes() for path in files}
    del found[".unpacked"]
    assert found == kept


def test_an_archive_that_lost_a_chunk_is_made_again(wheel, tmp_path):
    wheel("onnxruntime-cp310", {"onnxruntime/__init__.py": b"a"})
    folder = tmp_path / "chunks"
    assert not gpu_prepare.whole(folder, "onnxruntime-cp310")
    gpu_prepare.onnxruntime("3.10")(tmp_path, folder)
    assert gpu_prepare.whole(folder, "onnxruntime-cp310")
    (folder / "onnxruntime-cp310.tar.xz.00").unlink()
    assert not gpu_prepare.whole(folder, "onnxruntime-cp310")


def compiled(target, source, *words):
    target.with_suffix(".c").write_text(source)
    command = ["gcc", "-shared", "-fPIC", "-o", target, target.with_suffix(".c")]
    subprocess.run([*command, *words], check=True)


@pytest.fixture
def plugin(tmp_path):
    """A library that takes the address of versioned functions of three others."""
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        pytest.skip("needs gcc and nm")
    names = {
        "libcublas.so.12": ["cublasCreate_v2", "cublasDestroy_v2"],
        "libcublasLt.so.12": ["cublasLtCreate"],
        "libcudnn.so.8": ["cudnnGetErrorString"],
    }
    real = tmp_path / "real"
    real.mkdir()
    for library, functions in names.items():
        (real / "map").write_text(f"{library} {{ global: *; }};")
        version = f"-Wl,--version-script={real / 'map'}"
        source = "\n".join(f"int {name}(void) {{ return 7; }}" for name in functions)
        compiled(real / library, source, f"-Wl,-soname,{library}", version)
    every = [name for functions in names.values() for name in functions]
    source = "".join(f"int {name}(void);\n" for name in every)
    source += f"int (*table[])(void) = {{{', '.join(every)}}};\n"
    path = tmp_path / "libnvinfer_plugin.so.8"
    compiled(path, source, *(real / library for library in names))
    return path


def loads(plugin, folder):
    code = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], os.RTLD_NOW)"
    done = subprocess.run(
        [sys.executable, "-c", code, plugin],
        check=False,
        env=os.environ | {"LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
    )
    return done.returncode == 0


def test_stubs_satisfy_the_loader_of_the_plugin_library(plugin, tmp_path):
    gpu_tensorrt86.stubs(plugin, tmp_path / "stub")
    assert sorted(p.name for p in (tmp_path / "stub").iterdir()) == sorted(
        gpu_tensorrt86.STUBBED
    )
    assert loads(plugin, tmp_path / "stub")
    shutil.rmtree(tmp_path / "real")  # it can only be the stubs
    assert loads(plugin, tmp_path / "stub")
    assert not loads(plugin, tmp_path / "nowhere")


def test_a_plugin_library_that_wants_other_things_is_refused(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    compiled(tmp_path / "libother.so", "int nothing(void) { return 1; }")
    with pytest.raises(RuntimeError, match=r"wants nothing of libcublas\.so\.12"):
        gpu_tensorrt86.stubs(tmp_path / "libother.so", tmp_path / "stub")


def test_the_carried_python_sees_its_own_libraries_first(tmp_path, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/local/driver")
    found = gpu_tensorrt86.environment(tmp_path, tmp_path / "site")
    folders = found["LD_LIBRARY_PATH"].split(":")
    assert folders[0] == str(tmp_path / "tensorrt")
    assert folders[1] == str(tmp_path / "tensorrt-python" / "stub")
    assert folders[-1] == "/usr/local/driver"
    assert found["PYTHONPATH"].split(":")[-1] == str(tmp_path / "site")
