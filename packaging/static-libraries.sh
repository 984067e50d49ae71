#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# static-libraries.sh DIRECTORY [JOBS]
# Builds static archives of the libraries that Debian ships none of, or none that fits, into DIRECTORY/lib: oneTBB, ISA-L,
# libcurl (Debian's archive needs Kerberos, LDAP, RTMP and SSH; cbuild speaks HTTP and HTTPS only), SQLite (Debian's has
# full-text and geometric search, JSON, sessions and mathematics: more than half of its size), and OpenSSL (Debian's has
# every algorithm and protocol that was ever in use: a tenth of the program).
# The sources are those of the installed -dev packages, version for version, from the machine's Debian mirror; where it
# has dropped that version for a later one of the same series, the later one. apt checks them against the signed index
# of the archive. DIRECTORY/libraries.tsv lists the results: library, source, version.
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

# download SOURCE VERSION: into sources/. apt compares size and SHA-256 with the signed index and fails on a difference.
download() {
  (cd sources && apt_get source -qq --download-only --only-source "$1=$2" >/dev/null 2>&1)
}

# fetch SOURCE VERSION: downloads that version, else the newest one of the same upstream series (3.0 of 3.0.19-1) that the
# mirror has. Sets `fetched`.
fetch() {
  [[ -e apt/fetched ]] || { prepare_apt; touch apt/fetched; }
  fetched=$2
  if download "$1" "$2"; then return; fi
  local other series
  series=$(cut -d. -f1,2 <<< "$2")
  for other in $(apt-cache -o Dir::State::Lists="$top/apt/lists" -o Dir::Etc::SourceList="$top/apt/sources.list" \
    -o Dir::Etc::SourceParts=/dev/null showsrc --only-source "$1" | sed -n "s/^Version: \($series\.\)/\1/p" | sort -rV); do
    fetched=$other
    if download "$1" "$other"; then echo "static-libraries: $1 $2 is not on the mirror, $other is"; return; fi
  done
  fail "the sources of $1 cannot be fetched"
}

# unpack SOURCE VERSION: into sources/SOURCE, with Debian's patches.
unpack() {
  rm -rf "sources/$1"
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

# TLS 1.2 and later, certificates, and the algorithms that signatures and keys of images use. Configuration is read from
# where Debian's reads it.
build_openssl() {
  (
    cd sources/openssl
    ./Configure "linux-$(uname -m)" --openssldir=/usr/lib/ssl no-shared no-tests no-legacy no-engine no-dso no-module no-comp \
      no-ssl3 no-tls1 no-tls1_1 no-dtls no-srp no-psk no-srtp no-nextprotoneg no-ts no-cms no-ct no-cmp no-gost no-aria \
      no-camellia no-seed no-idea no-cast no-rc2 no-rc4 no-md4 no-mdc2 no-rmd160 no-whirlpool no-sm2 no-sm3 no-sm4 \
      no-siphash no-blake2 no-ocb no-siv no-ec2m no-dsa no-bf no-ui-console -Os -ffunction-sections -fdata-sections \
      >configure.log 2>&1 || { cat configure.log; fail "openssl"; }
    make -s -j "$jobs" build_libs >make.log 2>&1 || { tail make.log; fail "openssl"; }
  )
  cp sources/openssl/libcrypto.a sources/openssl/libssl.a lib/
}

# SQLite of tables, indexes and transactions, which is all that the store uses.
build_sqlite() {
  rm -rf build-sqlite
  mkdir build-sqlite
  (
    cd build-sqlite
    ../sources/sqlite3/configure --disable-tcl --disable-readline >configure.log 2>&1 || { cat configure.log; fail "sqlite3"; }
    make sqlite3.c >/dev/null
    gcc -Os -DNDEBUG -ffunction-sections -fdata-sections -DSQLITE_THREADSAFE=1 -DHAVE_FDATASYNC -DSQLITE_OMIT_DEPRECATED \
      -DSQLITE_OMIT_JSON -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_SHARED_CACHE -c sqlite3.c -o sqlite3.o
  )
  rm -f lib/libsqlite3.a
  ar rcs lib/libsqlite3.a build-sqlite/sqlite3.o
}

# library NAME SOURCE PACKAGE BUILD SYMBOL [OTHER]: builds it unless it was built for the installed version; SYMBOL is one
# that cbuild needs of it, OTHER a second library of the same build.
library() {
  local name=$1 source=$2 version fetched line each
  version=$(source_version "$3")
  if [[ -e lib/lib$name.a && $(cat "lib/$name.for" 2>/dev/null) == "$version" ]]; then return; fi
  fetch "$source" "$version"
  echo "static-libraries: $source $fetched"
  unpack "$source" "$fetched"
  "$4"
  # Not `grep -q`, which would leave the pipe before its end.
  nm -gC --defined-only "lib/lib$name.a" 2>/dev/null | grep -F "$5" >/dev/null || fail "lib$name.a does not define $5"
  touch libraries.tsv
  for each in "$name" ${6:+"$6"}; do
    printf -v line '%s\t%s\t%s' "$each" "$source" "$fetched"
    sed -i "/^$each\t/d" libraries.tsv
    echo "$line" >> libraries.tsv
  done
  echo "$version" > "lib/$name.for"
}

rm -f apt/fetched
# Another version of this script makes other archives.
if [[ $(cat script 2>/dev/null) != "$itself" ]]; then rm -f libraries.tsv lib/*.for; fi
library tbb onetbb libtbb-dev build_tbb "tbb::detail::r1::spawn(tbb::detail::d1::task&"
library isal libisal libisal-dev build_isal "isal_deflate_stateless"
library curl curl libcurl4-openssl-dev build_curl "curl_multi_poll"
library crypto openssl libssl-dev build_openssl "EVP_DigestVerify" ssl
library sqlite3 sqlite3 libsqlite3-dev build_sqlite "sqlite3_prepare_v2"
echo "$itself" > script
