# SPDX-License-Identifier: Apache-2.0
# A cache in a container of Azurite: a machine with an empty store takes its results, two machines that write at once
# keep each other's, and what goes wrong is said without the key.
set -eu
# The account that every emulator has; its key is public.
key='Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
place="type=azblob,account_url=$AZURE/devstoreaccount1,account_name=devstoreaccount1,prefix=team"
account="secret_access_key=$key"
base="--build-context base=oci-layout://$BASES/busybox"
build() { # STORE ARGUMENTS...
  store=$1
  shift
  "$CBUILD" --root "$WORK/$store" --progress plain $base "$@" . >out 2>&1 || { code=$?; cat out; return $code; }
  if grep -q 'Eby8vdM02' out; then echo "the key was printed"; return 1; fi
}
fails() { # TEXT STORE ARGUMENTS...
  text=$1
  shift
  if build "$@" >said; then echo "no failure"; exit 1; fi
  grep -q -- "$text" said || { echo "not said: $text"; cat said; exit 1; }
}

build one --cache-to "$place,$account,mode=max"
build two --cache-from "$place,$account"
if grep -q 'runs because' out; then cat out; exit 1; fi
build two --cache-from "$place,$account" -o type=tar,dest=two.tar
tar tf two.tar | grep -q '^large$'

for who in left right; do
  mkdir "$who-context"
  cp src.txt "$who-context"
  sed "s/second/$who/g" Dockerfile >"$who-context/Dockerfile"
  "$CBUILD" --root "$WORK/$who" --progress plain $base --cache-to "$place,$account,mode=max,name=both" "$who-context" >"$who.log" 2>&1 &
done
wait
for who in left right; do
  "$CBUILD" --root "$WORK/third" --progress plain $base --cache-from "$place,$account,name=both" "$who-context" >out 2>&1
  if grep -q 'runs because' out; then echo "lost: $who"; cat left.log right.log out; exit 1; fi
done

fails 'HTTP 403' one --cache-to "$place,secret_access_key=d3Jvbmc=,mode=max"
build one --cache-to "$place,secret_access_key=d3Jvbmc=,mode=max,ignore-error=true"
grep -q 'the cache is not exported' out
fails 'needs secret_access_key=' one --cache-to "$place,mode=max"
fails 'needs account_url=' one --cache-to type=azblob

# The same place by variables, of which keys take the place.
export BUILDKIT_AZURE_STORAGE_ACCOUNT_URL=$AZURE/devstoreaccount1 BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME=devstoreaccount1
export BUILDKIT_AZURE_STORAGE_PREFIX=team BUILDKIT_AZURE_STORAGE_CONTAINER=buildkit-cache
build four --cache-from "type=azblob,$account"
if grep -q 'runs because' out; then cat out; exit 1; fi
BUILDKIT_AZURE_STORAGE_PREFIX=elsewhere build five --cache-from "type=azblob,$account"
grep -q 'runs because' out
BUILDKIT_AZURE_STORAGE_PREFIX=elsewhere build six --cache-from "type=azblob,$account,prefix=team"
if grep -q 'runs because' out; then cat out; exit 1; fi
