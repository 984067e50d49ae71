# SPDX-License-Identifier: Apache-2.0
# Encodings do not get into each other's way: each gives the same bytes in a fresh store, after another one and again.
set -eu
export SOURCE_DATE_EPOCH=1700000000
layers() { # STORE COMPRESSION
  rm -rf out
  "$CBUILD" --root "$WORK/$1" --progress plain --build-context "base=oci-layout://$BASES/busybox" --target image \
    -o "type=oci,dest=out,tar=false,rewrite-timestamp=true,compression=$2" . >log 2>&1 || { cat log >&2; exit 1; }
  jq -r '.manifests[0].digest' out/index.json
}
gzip=$(layers one gzip)
estargz=$(layers two estargz)
best=$(layers three gzip,compression-level=9)
[ "$gzip" != "$estargz" ]
[ "$gzip" != "$best" ]
[ "$(layers three gzip)" = "$gzip" ]
[ "$(layers one gzip,compression-level=9)" = "$best" ]
[ "$(layers two gzip)" = "$gzip" ]
[ "$(layers one estargz)" = "$estargz" ]
[ "$(layers one gzip)" = "$gzip" ]
[ "$(layers two estargz)" = "$estargz" ]
