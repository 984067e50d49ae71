#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# static-libraries.sh DIRECTORY [JOBS]
# Builds static archives of the libraries that Debian ships none of, or none that fits, into DIRECTORY/lib: oneTBB, ISA-L,
# and libcurl (Debian's archive needs Kerberos, LDAP, RTMP and SSH; cbuild speaks HTTP and HTTPS only).
# The sources are those of the installed -dev packages, version for version, from the machine's Debian mirror. apt checks
# them against the signed index of the archive. DIRECTORY/libraries.tsv lists the results: library, source, version.
# Libraries that are there already are kept.
set -euo pipefail
itself=$(sha256sum < "$0")
mkdir -p "$1"
cd "$1"
top=$PWD
jobs=${2:-$(nproc)}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() { echo "static-libraries: $*" >&2; exit 1; }

# An apt of its own, which knows the sources of the mirrors that this machine takes its Debian packages from.
prepare_apt() {
  mkdir -p apt/lists/partial sources lib
  # shellcheck disable=SC2016  # apt expands them
  LC_ALL=C apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
    awk -v key="$keyring" '$NF == "Debian" && $3 == "main" {print "deb-src [signed-by=" key "] " $1 " " $2 " " $3}' |
    sort -u > apt/sources.list
  [[ -s apt/sources.list ]] || fail "apt on this machine has no Debian mirror (apt-get update)"
  apt_get update -qq || fail "the index of the sources cannot be fetched"
}

apt_get() {
  apt-get -o Dir::Etc::SourceList="$top/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$top/apt/lists" -o APT::Sandbox::User=root "$@"
}

# source_version PACKAGE: the version of the source that an installed package is made of.
source_version() {
  dpkg-query -W -f '${source:Version}' "$1" 2>/dev/null || fail "package $1 is not installed"
}

# unpack SOURCE VERSION: into sources/SOURCE, with Debian's patches.
unpack() {
  rm -rf "sources/$1"
  [[ -e apt/fetched ]] || { prepare_apt; touch apt/fetched; }
  # apt compares size and SHA-256 with the signed index and fails on a difference.
  (cd sources && apt_get source -qq --download-only --only-source "$1=$2") || fail "the sources of $1 cannot be fetched"
  local description=sources/${1}_${2#*:}.dsc
  grep -q "^Version: $2$" "$description" || fail "$description is not version $2"
  dpkg-source --no-check -x "$description" "sources/$1" >/dev/null || fail "$1: the sources cannot be unpacked"
}

build_tbb() {
  rm -rf build-tbb
  cmake -G Ninja -S sources/onetbb -B build-tbb -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DTBB_TEST=OFF \
    -DTBBMALLOC_BUILD=OFF -DTBB_STRICT=OFF -DTBB_DISABLE_HWLOC_AUTOMATIC_SEARCH=ON >/dev/null
  cmake --build build-tbb -j "$jobs" --target tbb >/dev/null
  cp "$(find build-tbb -name libtbb.a | head -n 1)" lib/libtbb.a
}

build_isal() {
  make -C sources/libisal -f Makefile.unx -j "$jobs" units="crc igzip" lib >/dev/null 2>&1 || fail "libisal does not build"
  cp sources/libisal/bin/isa-l.a lib/libisal.a
}

# Only the parts that base/http uses: HTTP and HTTPS over OpenSSL, HTTP/2, gzip. Names are looked up by glibc (docs/packages.md).
build_curl() {
  rm -rf build-curl
  cmake -G Ninja -S sources/curl -B build-curl -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DBUILD_CURL_EXE=OFF \
    -DBUILD_TESTING=OFF -DHTTP_ONLY=ON -DCURL_USE_OPENSSL=ON -DCURL_USE_LIBSSH2=OFF -DUSE_NGHTTP2=ON -DUSE_LIBIDN2=OFF \
    -DCURL_USE_LIBPSL=OFF -DCURL_BROTLI=OFF -DCURL_ZSTD=OFF -DCURL_DISABLE_NTLM=ON -DENABLE_MANUAL=OFF -DCURL_CA_BUNDLE=none \
    -DCURL_CA_PATH=none >/dev/null 2>build-curl.log || { cat build-curl.log; fail "curl"; }
  cmake --build build-curl -j "$jobs" --target libcurl >/dev/null
  cp "$(find build-curl -name libcurl.a | head -n 1)" lib/libcurl.a
}

# library NAME SOURCE PACKAGE BUILD SYMBOL: builds it unless that version is there; SYMBOL is one that cbuild needs of it.
library() {
  local name=$1 source=$2 version line
  version=$(source_version "$3")
  printf -v line '%s\t%s\t%s' "$name" "$source" "$version"
  if [[ -e lib/lib$name.a ]] && grep -qxF "$line" libraries.tsv 2>/dev/null; then return; fi
  echo "static-libraries: $source $version"
  unpack "$source" "$version"
  "$4"
  # Not `grep -q`, which would leave the pipe before its end.
  nm -gC --defined-only "lib/lib$name.a" 2>/dev/null | grep -F "$5" >/dev/null || fail "lib$name.a does not define $5"
  touch libraries.tsv
  sed -i "/^$name\t/d" libraries.tsv
  echo "$line" >> libraries.tsv
}

rm -f apt/fetched
# Another version of this script makes other archives.
if [[ $(cat script 2>/dev/null) != "$itself" ]]; then rm -f libraries.tsv; fi
library tbb onetbb libtbb-dev build_tbb "tbb::detail::r1::spawn(tbb::detail::d1::task&"
library isal libisal libisal-dev build_isal "isal_deflate_stateless"
library curl curl libcurl4-openssl-dev build_curl "curl_multi_poll"
echo "$itself" > script
