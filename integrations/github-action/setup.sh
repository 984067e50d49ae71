#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts cbuild on the PATH of the following steps. CBUILD_PACKAGE: the static program or the .deb, as a path or https URL;
# CBUILD_SHA256: its digest.
set -euo pipefail
fail() { echo "::error::cbuild: $*"; exit 1; }

if [[ -z ${CBUILD_PACKAGE:-} ]]; then
  command -v cbuild >/dev/null || fail "cbuild is not on the PATH: give the input 'package'"
  cbuild --version
  exit 0
fi

place=$RUNNER_TEMP/cbuild
mkdir -p "$place/bin"
case $CBUILD_PACKAGE in
  https://*)
    [[ -n ${CBUILD_SHA256:-} ]] || fail "a package by URL needs the input 'sha256'"
    curl --fail --silent --show-error --location --proto '=https' --output "$place/package" -- "$CBUILD_PACKAGE" ||
      fail "the package cannot be fetched" ;;
  *://*) fail "invalid package '$CBUILD_PACKAGE': https URLs only" ;;
  *) cp -- "$CBUILD_PACKAGE" "$place/package" || fail "the package cannot be read" ;;
esac
if [[ -n ${CBUILD_SHA256:-} ]]; then
  echo "$CBUILD_SHA256  $place/package" | sha256sum --check --status || fail "the package's SHA-256 is not $CBUILD_SHA256"
fi

if [[ $(head -c 7 "$place/package") == '!<arch>' ]]; then
  mv "$place/package" "$place/package.deb"
  as_root=(); [[ $(id -u) == 0 ]] || as_root=(sudo)
  "${as_root[@]}" apt-get install -y -q "$place/package.deb"
  cbuild --version
else
  install -m 755 "$place/package" "$place/bin/cbuild"
  rm "$place/package"
  echo "$place/bin" >> "$GITHUB_PATH"
  "$place/bin/cbuild" --version
fi
