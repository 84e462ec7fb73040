# The CUDA kernels, in a module of their own that is loaded only where there is a driver.
#
#   FUSEG_CUDA                AUTO (where nvcc is found and new enough), ON or OFF
#   FUSEG_CUDA_RELEASE        all architectures of a release, and a warning is an error
#   CMAKE_CUDA_ARCHITECTURES  default: of the GPU in this machine; without one 75-virtual,
#                             which every driver can finish compiling as it loads it
set(FUSEG_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO (where nvcc is found), ON, OFF")
set_property(CACHE FUSEG_CUDA PROPERTY STRINGS AUTO ON OFF)
set(FUSEG_CUDA_OLDEST 11.8)  # of nvcc
set(FUSEG_CUDA_RELEASE_ARCHS 75;80;86;87;89;90;100;110;120)

set(FUSEG_HAS_CUDA OFF)
if(FUSEG_CUDA STREQUAL "OFF")
  message(STATUS "CUDA kernels: not built, FUSEG_CUDA=OFF")
elseif(FUSEG_CUDA STREQUAL "AUTO" AND CMAKE_CROSSCOMPILING)
  message(STATUS "CUDA kernels: not built for another machine than this one")
else()
  include(CheckLanguage)
  check_language(CUDA)
  set(FUSEG_NVCC_VERSION "")
  if(CMAKE_CUDA_COMPILER)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version
                    OUTPUT_VARIABLE FUSEG_NVCC_SAYS ERROR_QUIET)
    string(REGEX MATCH "release [0-9.]+" FUSEG_NVCC_VERSION "${FUSEG_NVCC_SAYS}")
    string(REPLACE "release " "" FUSEG_NVCC_VERSION "${FUSEG_NVCC_VERSION}")
  endif()
  if(CMAKE_CUDA_COMPILER AND FUSEG_NVCC_VERSION VERSION_LESS ${FUSEG_CUDA_OLDEST})
    set(FUSEG_TOO_OLD "nvcc must be ${FUSEG_CUDA_OLDEST} or newer, and \
${CMAKE_CUDA_COMPILER} is ${FUSEG_NVCC_VERSION}")
    if(NOT FUSEG_CUDA STREQUAL "AUTO")
      message(FATAL_ERROR "FUSEG_CUDA=${FUSEG_CUDA}, but ${FUSEG_TOO_OLD}: set "
                          "CMAKE_CUDA_COMPILER to a newer one, or FUSEG_CUDA=OFF.")
    endif()
    message(STATUS "CUDA kernels: not built, ${FUSEG_TOO_OLD}")
  elseif(CMAKE_CUDA_COMPILER)
    set(FUSEG_HAS_CUDA ON)
  elseif(FUSEG_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA kernels: not built, nvcc was not found")
  else()
    message(FATAL_ERROR "FUSEG_CUDA=${FUSEG_CUDA}, but nvcc was not found. Put it on PATH, "
                        "or set CMAKE_CUDA_COMPILER.")
  endif()
endif()

if(FUSEG_HAS_CUDA)
  if(FUSEG_CUDA_RELEASE)
    set(CMAKE_CUDA_ARCHITECTURES ${FUSEG_CUDA_RELEASE_ARCHS})
  elseif(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    execute_process(COMMAND nvidia-smi -L RESULT_VARIABLE FUSEG_NO_GPU
                    OUTPUT_QUIET ERROR_QUIET)
    if(FUSEG_NO_GPU STREQUAL "0" OR EXISTS /etc/nv_tegra_release)
      set(CMAKE_CUDA_ARCHITECTURES native)
    else()
      set(CMAKE_CUDA_ARCHITECTURES 75-virtual)
    endif()
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  message(STATUS "CUDA kernels: built for ${CMAKE_CUDA_ARCHITECTURES} "
                 "by nvcc ${CMAKE_CUDA_COMPILER_VERSION}")

  pybind11_add_module(_kernels_cuda kernels/cuda/module_cuda.cpp
                                    kernels/cuda/device_cuda.cpp)
  target_include_directories(_kernels_cuda PRIVATE
                             kernels ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_compile_options(
    _kernels_cuda
    PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:-O2;-Wall;-Wextra>"
      "$<$<COMPILE_LANGUAGE:CUDA>:-O3;--expt-relaxed-constexpr;--fmad=false;-Xptxas=--warn-on-spills;-Xcompiler=-Wall,-Wextra>"
  )
  if(FUSEG_CUDA_RELEASE)  # the next nvcc's new warning must not break an installation
    target_compile_options(_kernels_cuda PRIVATE
                           "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>")
  endif()
  target_link_libraries(_kernels_cuda PRIVATE ${CMAKE_DL_LIBS})  # of NVTX, old glibc
  install(TARGETS _kernels_cuda DESTINATION fuseg)
endif()

# Called for every kernel that fuseg_add_kernel names.
function(fuseg_add_cuda_kernel name)
  if(FUSEG_HAS_CUDA AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/${name}/${name}_cuda.cu)
    target_sources(_kernels_cuda PRIVATE kernels/${name}/${name}_cuda.cu)
  endif()
endfunction()
