# Cross-compile for aarch64 with Debian's g++-aarch64-linux-gnu.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)

# The interpreter runs the build, on this machine; headers and the module's name are the
# target's: ARM64_ROOT and ARM64_PYTHON (3.11) come from the command line.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ARM64_ROOT ARM64_PYTHON)
set(Python_INCLUDE_DIR ${ARM64_ROOT}/usr/include/python${ARM64_PYTHON})
string(REPLACE "." "" nodot "${ARM64_PYTHON}")
set(Python_SOABI cpython-${nodot}-aarch64-linux-gnu)
set(PYTHON_MODULE_EXTENSION .${Python_SOABI}.so)
set(PYTHON_MODULE_DEBUG_POSTFIX "")
# pyconfig.h includes <aarch64-linux-gnu/python3.11/pyconfig.h>.
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES ${ARM64_ROOT}/usr/include)
