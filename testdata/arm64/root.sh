#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# root.sh DIR: the headers and libraries that cbuild is built from (cmake/packages.txt), of Debian for arm64, extracted into DIR.
# Nothing of them is run or configured, so they need no emulator and cannot conflict with packages of this machine. The
# release is the machine's own, since the cross compiler is. DIR is made again when the list of packages has changed.
set -euo pipefail
dir=$1
cd "$(dirname "$0")/../.."

# The first of "a | b" that this release has, of the -dev packages in the sections that a build with tests needs; cbuildd is not built.
packages() {
  local line choice
  sed -n '/^# build$/,/^# package$/p; /^doctest-dev$/p' cmake/packages.txt | grep -e '-dev' | grep -v -e grpc -e protobuf | while read -r line; do
    for choice in ${line//|/ }; do
      if LC_ALL=C apt-cache policy "$choice" | grep 'Candidate: [^(]' >/dev/null; then echo "$choice"; break; fi
    done
  done
  echo "libstdc++-$(aarch64-linux-gnu-g++ -dumpversion)-dev"
}

# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
list=$(packages | LC_ALL=C sort -u | paste -sd,)
wanted="$suite $list"
[[ ! -e $dir/made-of || $(cat "$dir/made-of") != "$wanted" ]] || exit 0
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(ORIGIN)' 'Created-By: Packages' |
  awk '$NF == "Debian" && $2 !~ /security/ { sub("/$", "", $1); print $1; exit }')
[[ -n $mirror ]] || { echo "root.sh: apt on this machine has no Debian mirror" >&2; exit 1; }
rm -rf "$dir"
mkdir -p "$dir"
# Every path that exists in DIR is one of DIR for a program under the emulator: /tmp and /etc have to be this machine's.
mmdebstrap --quiet --variant=extract --format=tar --architectures=arm64 --include="$list" "$suite" - "$mirror" |
  tar -x --no-same-owner -C "$dir" ./lib ./usr/lib ./usr/include
# The linker takes the targets of links for paths of this machine.
find "$dir" -type l -lname '/*' | while read -r link; do ln -sfnr "$dir$(readlink "$link")" "$link"; done
echo "$wanted" > "$dir/made-of"
