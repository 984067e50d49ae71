# SPDX-License-Identifier: Apache-2.0
# Third-party libraries, all from Debian packages (see cmake/packages.txt). What Debian ships as a static library
# is linked statically, because every shared object costs start-up time in a warm build.
# Headers are SYSTEM, so that their warnings stay theirs.
find_package(Threads REQUIRED)

# cbuild_library(NAME STATIC|SHARED LIBS... [INCLUDE dir])
function(cbuild_library name)
  cmake_parse_arguments(arg "" "INCLUDE" "LIBS" ${ARGN})
  add_library(lib::${name} INTERFACE IMPORTED GLOBAL)
  if(arg_INCLUDE)
    target_include_directories(lib::${name} SYSTEM INTERFACE "${arg_INCLUDE}")
  endif()
  foreach(lib IN LISTS arg_LIBS)
    string(MAKE_C_IDENTIFIER "CBUILD_LIB_${lib}" var)
    find_library(${var} NAMES ${lib} REQUIRED)
    target_link_libraries(lib::${name} INTERFACE "${${var}}")
  endforeach()
endfunction()

# Debian's second Boost: found by its versioned header directory where 1.74 is the default one.
find_path(CBUILD_BOOST_INCLUDE boost/version.hpp REQUIRED)
cbuild_library(boost INCLUDE "${CBUILD_BOOST_INCLUDE}")
cbuild_library(json)
cbuild_library(doctest)
cbuild_library(cli11)
cbuild_library(crypto LIBS libcrypto.a)
target_link_libraries(lib::crypto INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
cbuild_library(tbb LIBS libtbb.so)
cbuild_library(zstd LIBS libzstd.a)
cbuild_library(isal LIBS libisal.so)
cbuild_library(deflate LIBS libdeflate.a)
cbuild_library(archive LIBS libarchive.a libz.a libbz2.a liblzma.a libzstd.a)
cbuild_library(sqlite LIBS libsqlite3.a)
target_link_libraries(lib::sqlite INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)
cbuild_library(seccomp LIBS libseccomp.a)
cbuild_library(yaml LIBS libyaml.a)
# libcurl is opened with dlopen on first use: a cached local build never pays for its 36 shared objects.
cbuild_library(curl_headers)
target_link_libraries(lib::curl_headers INTERFACE ${CMAKE_DL_LIBS})
