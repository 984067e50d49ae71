# SPDX-License-Identifier: Apache-2.0
# Warnings, sanitizers and fuzzing as INTERFACE targets that every module links.
option(CBUILD_WERROR "Treat warnings as errors" ON)
set(CBUILD_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")
option(CBUILD_STATIC "Link the program fully static (docs/packages.md)" OFF)
set(CBUILD_STATIC_LIBRARIES "${CMAKE_SOURCE_DIR}/build/static-libraries" CACHE PATH "Made by packaging/static-libraries.sh")
option(CBUILD_DAEMON "Build cbuildd, which answers BuildKit's API" ON)
option(CBUILD_BENCH "Build the micro-benchmarks" OFF)
option(CBUILD_FUZZ "Build the libFuzzer harnesses (clang only)" OFF)
set(CBUILD_FUZZ_SECONDS 5 CACHE STRING "How long the test of each harness runs")
set(CBUILD_FUZZ_SEED 1 CACHE STRING "Where its mutations begin; 0 for another place every time")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

add_library(cbuild_options INTERFACE)
target_include_directories(cbuild_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_definitions(cbuild_options INTERFACE _GNU_SOURCE CBUILD_VERSION="${PROJECT_VERSION}")
target_compile_options(cbuild_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
    -Woverloaded-virtual -Wcast-qual -Wundef -Wformat=2 -fno-omit-frame-pointer
    -fstack-protector-strong
    # Designated initialisers leave members at their defaults on purpose.
    -Wno-missing-field-initializers)
if(CBUILD_WERROR)
  target_compile_options(cbuild_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these inside its own inlined standard library at -O2 (PR105329, PR105562, PR107852).
  target_compile_options(cbuild_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
      -Wno-array-bounds)
  if(CMAKE_UNITY_BUILD)
    # Takes each .cc for a header, because another file includes it.
    target_compile_options(cbuild_options INTERFACE -Wno-subobject-linkage)
  endif()
endif()
if(CBUILD_SANITIZE)
  target_compile_options(cbuild_options INTERFACE -fsanitize=${CBUILD_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(cbuild_options INTERFACE -fsanitize=${CBUILD_SANITIZE})
endif()
if(CBUILD_SANITIZE STREQUAL "thread")
  target_compile_definitions(cbuild_options INTERFACE CBUILD_TSAN)
endif()
if(CBUILD_FUZZ)
  target_compile_options(cbuild_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
