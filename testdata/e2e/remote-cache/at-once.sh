# SPDX-License-Identifier: Apache-2.0
# Builds that export to one tag of a registry at once: the cache has the steps of each of them afterwards.
set -eu
sides="a b c d"
build() { # build SIDE FLAGS...
  side=$1
  shift
  printf 'FROM base\nRUN echo %s >/made\n' "$side" >"$side.Dockerfile"
  "$CBUILD" --root "$WORK/at-once-$side" --progress plain --build-context "base=oci-layout://$BASES/busybox" -f "$side.Dockerfile" "$@" . 2>"$side.log"
}
for side in $sides; do build "$side" --cache-to "type=registry,ref=$REGISTRY/team/cache:at-once,mode=max" & done
for job in $(jobs -p); do wait "$job"; done
for side in $sides; do
  rm -rf "$WORK/at-once-$side"
  build "$side" --cache-from "$REGISTRY/team/cache:at-once"
  grep -q CACHED "$side.log" || { echo "the step of $side is lost"; cat "$side.log"; exit 1; }
  rm -rf "$WORK/at-once-$side"
done
