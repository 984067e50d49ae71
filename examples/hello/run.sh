#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the busybox base and the example with the given cbuild, and writes hello.tar, an OCI image archive.
set -euo pipefail
cbuild=$(realpath "${1:-cbuild}")
cd "$(dirname "$0")"
bin=$(dirname "$(command -v busybox)")
"$cbuild" -t busybox --build-context host="$bin" ../busybox
"$cbuild" -t hello --output type=image --output type=oci,dest=hello.tar .
"$cbuild" images
echo "wrote $PWD/hello.tar"
