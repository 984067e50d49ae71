#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# package.sh [deb|static|image ...]: makes the packages (all without a name) in build/packages, as docs/packages.md says:
#   cbuild_VERSION_amd64.deb            for Debian 12 and 13
#   cbuild-VERSION-linux-amd64          one static program; with the manual pages in cbuild-VERSION-linux-amd64.tar.gz
#   cbuild-VERSION-image.tar            an OCI archive of a container image, built by that program
# Each has its SBOM next to it (.spdx.json). Times in them are that of the last commit, or SOURCE_DATE_EPOCH.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${CBUILD_JOBS:-$(nproc)}
version=$(sed -n 's/^project(cbuild VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
arch=$(dpkg --print-architecture)
out=$PWD/build/packages
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
umask 022

build() {
  cmake --preset "$1" >/dev/null
  cmake --build --preset "$1" -j "$jobs"
}

# stage PRESET: the files of cmake --install, in $out/stage/PRESET, pages compressed as Debian's policy asks for.
stage() {
  local root=$out/stage/$1
  rm -rf "$root"
  DESTDIR=$root cmake --install "build/$1" --strip >/dev/null
  # The licence is among the system's, the third parties' notices are those of the packages that were linked.
  packaging/sbom.py notices --build "build/$1" > "$root/usr/share/doc/cbuild/third-party-notices"
  gzip -9n "$root"/usr/share/man/man1/*.1 "$root/usr/share/doc/cbuild/third-party-notices"
}

# The packages that the program needs, and those it opens on first use (libcurl), in one line.
dependencies() {
  local work=$out/shlibdeps
  rm -rf "$work"
  mkdir -p "$work/debian"
  printf 'Source: cbuild\n\nPackage: cbuild\nArchitecture: %s\n' "$arch" > "$work/debian/control"
  (cd "$work" && dpkg-shlibdeps -O -e"$out/stage/package/usr/bin/cbuild") | sed -n 's/^shlibs:Depends=//p'
}

control() {
  sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@DEPENDS@/$1/" \
    -e "s/@SIZE@/$(du -k --apparent-size -s "$out/stage/package/usr" | cut -f1)/" packaging/deb/control.in
}

# The changelog in the form that Debian's tools read.
changelog() {
  printf 'cbuild (%s) unstable; urgency=medium\n\n  * Built from the sources; changes are in CHANGELOG.md.\n\n' "$version"
  printf ' -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' packaging/deb/control.in)" "$(LC_ALL=C date -uR --date="@$SOURCE_DATE_EPOCH")"
}

make_deb() {
  build package
  stage package
  local root=$out/stage/package doc=$out/stage/package/usr/share/doc/cbuild
  rm "$doc/LICENSE"
  cp packaging/deb/copyright "$doc/copyright"
  changelog | gzip -9n > "$doc/changelog.gz"
  install -D -m 644 packaging/deb/lintian-overrides "$root/usr/share/lintian/overrides/cbuild"
  mkdir -p "$root/DEBIAN"
  local needed
  needed=$(dependencies)
  [[ -n $needed ]] || { echo "package: dpkg-shlibdeps gave no dependencies" >&2; exit 1; }
  control "$needed" > "$root/DEBIAN/control"
  (cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
  find "$root" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
  local file=$out/cbuild_${version}_$arch.deb
  dpkg-deb --root-owner-group -Zxz --build "$root" "$file" >/dev/null
  packaging/sbom.py sbom --kind deb --version "$version" --artifact "$file" --build build/package > "$file.spdx.json"
}

make_static() {
  packaging/static-libraries.sh build/static-libraries "$jobs"
  build static
  stage static
  local name=cbuild-$version-linux-$arch root=$out/stage/static
  install -m 755 "$root/usr/bin/cbuild" "$out/$name"
  local size
  size=$(stat -c %s "$out/$name")
  ((size < 14000000)) || { echo "package: the static program has $size bytes, 14,000,000 is the limit" >&2; exit 1; }
  if readelf -l "$out/$name" | grep INTERP >/dev/null; then echo "package: $name needs a loader" >&2; exit 1; fi
  packaging/sbom.py sbom --kind static --version "$version" --artifact "$out/$name" --build build/static > "$out/$name.spdx.json"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --transform "s,^usr,$name," -C "$root" \
    -c usr | gzip -9n > "$out/$name.tar.gz"
}

make_image() {
  local name=cbuild-$version-linux-$arch context=$out/stage/image file=$out/cbuild-$version-image.tar
  [[ -x $out/$name ]] || make_static
  rm -rf "$context"
  mkdir -p "$context/root/usr/bin" "$context/root/etc/ssl/certs" "$context/root/usr/share/doc/cbuild"
  install -d -m 1777 "$context/root/tmp"
  install -m 755 "$out/$name" "$context/root/usr/bin/cbuild"
  install -m 644 /etc/ssl/certs/ca-certificates.crt "$context/root/etc/ssl/certs/ca-certificates.crt"
  install -m 644 packaging/image/passwd packaging/image/group "$context/root/etc/"
  install -m 644 LICENSE "$out/stage/static/usr/share/doc/cbuild/third-party-notices.gz" "$context/root/usr/share/doc/cbuild/"
  rm -f "$file"
  "$out/$name" build --root "$out/store" --progress plain -f packaging/image/Dockerfile -t "cbuild:$version" \
    --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" --label "org.opencontainers.image.version=$version" \
    -o "type=oci,dest=$file,rewrite-timestamp=true" "$context"
  packaging/sbom.py sbom --kind image --version "$version" --artifact "$file" --build build/static > "$file.spdx.json"
}

mkdir -p "$out"
[[ $# -gt 0 ]] || set -- deb static image
for kind in "$@"; do
  case $kind in
    deb | static | image) "make_$kind" ;;
    *) echo "package: no package '$kind': deb, static or image" >&2; exit 2 ;;
  esac
done
(cd "$out" && find . -maxdepth 1 -type f -name 'cbuild*' -printf '%f\0' | LC_ALL=C sort -z | xargs -0 sha256sum > SHA256SUMS && cat SHA256SUMS)
