# SPDX-License-Identifier: Apache-2.0
# cbuild_module(NAME SOURCES ... [DEPS modules...] [PRIVATE_LIBS lib::...] [TESTS ...] [TEST_LIBS ...] [FUZZ ...] [BENCH ...])
#
# One folder = one module = one static library `cbuild_<name>` = one test binary `<name>_test`. DEPS are module
# names and must be arrows of CBUILD_ARROWS. FUZZ: each foo_fuzz.cc becomes a libFuzzer binary under the asan preset,
# in build/asan/fuzzers, and a test; its corpus is testdata/fuzz/foo_fuzz.
# BENCH: each foo_bench.cc becomes an executable with -DCBUILD_BENCH=ON; it is not a test.
add_library(cbuild_doctest_main OBJECT EXCLUDE_FROM_ALL "${CMAKE_CURRENT_LIST_DIR}/doctest_main.cc")
target_link_libraries(cbuild_doctest_main PRIVATE cbuild_options lib::doctest)

# The modules whose sources look at CBUILD_STATIC. All others are the same objects in both programs, which ccache knows.
set(CBUILD_KNOWS_STATIC base/http base/process supply/sign)

# The modules without loops over many bytes, files or steps: a release has them small instead of fast (docs/packages.md).
set(CBUILD_FOR_SIZE
    bake bake/hcl base/http cache/objects cache/remote cli cli/dap cli/flags cli/images cli/page cli/plugin cli/report engine
    engine/request exporter exporter/copy frontend/lower frontend/stages frontend/syntax frontend/text
    oci/registry oci/routes sandbox sandbox/cdi sandbox/confine sandbox/ids sandbox/network sandbox/oci_bundle
    sandbox/trust solver/ops solver/sources supply supply/sbom supply/sign)

add_custom_target(cbuild_unit_tests)
add_custom_target(cbuild_fuzzers)

function(cbuild_check_arrows name)
  foreach(row IN LISTS CBUILD_ARROWS)
    if(row MATCHES "^${name}:(.*)$")
      string(REPLACE "," ";" allowed "${CMAKE_MATCH_1}")
      foreach(dep IN LISTS ARGN)
        if(NOT dep IN_LIST allowed)
          message(FATAL_ERROR "layering: ${name} may not depend on ${dep} (allowed: ${CMAKE_MATCH_1})")
        endif()
      endforeach()
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "layering: module ${name} is not in CBUILD_ARROWS")
endfunction()

# A harness as a test: CBUILD_FUZZ_SECONDS on its kept corpus, from CBUILD_FUZZ_SEED. New inputs that it finds go to corpus/ in the build directory,
# inputs that fail to the build directory itself.
function(cbuild_fuzz_test fuzzer)
  set(kept "${CMAKE_SOURCE_DIR}/testdata/fuzz/${fuzzer}")
  set(found "${CMAKE_BINARY_DIR}/corpus/${fuzzer}")
  file(MAKE_DIRECTORY "${found}")
  if(NOT IS_DIRECTORY "${kept}")
    set(kept)
  endif()
  add_test(NAME fuzz/${fuzzer}
    COMMAND ${fuzzer} -seed=${CBUILD_FUZZ_SEED} -max_total_time=${CBUILD_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
            -max_len=8192 -verbosity=0 -print_final_stats=1 "-artifact_prefix=${CMAKE_BINARY_DIR}/${fuzzer}-" "${found}" ${kept})
  math(EXPR timeout "${CBUILD_FUZZ_SECONDS} + 120")
  set_tests_properties(fuzz/${fuzzer} PROPERTIES TIMEOUT ${timeout} LABELS fuzz)
endfunction()

function(cbuild_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;PRIVATE_LIBS;TESTS;TEST_LIBS;FUZZ;BENCH" ${ARGN})
  cbuild_check_arrows(${name} ${arg_DEPS})
  string(REPLACE "/" "_" id "${name}")
  set(deps)
  foreach(dep IN LISTS arg_DEPS)
    string(REPLACE "/" "_" dep_id "${dep}")
    list(APPEND deps cbuild_${dep_id})
  endforeach()

  add_library(cbuild_${id} STATIC ${arg_SOURCES})
  target_link_libraries(cbuild_${id} PUBLIC cbuild_options ${deps} PRIVATE ${arg_PRIVATE_LIBS})

  if(CBUILD_STATIC AND name IN_LIST CBUILD_KNOWS_STATIC)
    target_compile_definitions(cbuild_${id} PRIVATE CBUILD_STATIC)
  endif()
  if(name IN_LIST CBUILD_FOR_SIZE)
    target_compile_options(cbuild_${id} PRIVATE "$<$<CONFIG:Release>:-Os>")
  endif()

  if(BUILD_TESTING AND arg_TESTS)
    add_executable(${id}_test ${arg_TESTS})
    target_link_libraries(${id}_test PRIVATE cbuild_${id} cbuild_doctest_main lib::doctest ${arg_TEST_LIBS})
    # doctest's macros take twice as long to optimise as to run.
    target_compile_options(${id}_test PRIVATE -O0)
    add_test(NAME ${name} COMMAND ${id}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 LABELS unit)
    add_dependencies(cbuild_unit_tests ${id}_test)
  endif()
  if(CBUILD_FUZZ)
    foreach(source IN LISTS arg_FUZZ)
      get_filename_component(fuzzer "${source}" NAME_WE)
      add_executable(${fuzzer} ${source})
      target_link_libraries(${fuzzer} PRIVATE cbuild_${id})
      target_link_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
      set_target_properties(${fuzzer} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzzers")
      add_dependencies(cbuild_fuzzers ${fuzzer})
      cbuild_fuzz_test(${fuzzer})
    endforeach()
  endif()
  if(CBUILD_BENCH)
    foreach(source IN LISTS arg_BENCH)
      get_filename_component(bench "${source}" NAME_WE)
      add_executable(${bench} ${source})
      target_link_libraries(${bench} PRIVATE cbuild_${id} ${arg_TEST_LIBS})
    endforeach()
  endif()
endfunction()
