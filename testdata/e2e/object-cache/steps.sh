# SPDX-License-Identifier: Apache-2.0
# A cache in a bucket of a real server: a machine with an empty store takes its results, two machines that write at once
# keep each other's, and what goes wrong is said without the secret.
set -eu
place="type=s3,bucket=caches,region=here,endpoint_url=$S3,use_path_style=true,prefix=team/"
account="access_key_id=test-id,secret_access_key=test-secret"
base="--build-context base=oci-layout://$BASES/busybox"
build() { # STORE ARGUMENTS...
  store=$1
  shift
  "$CBUILD" --root "$WORK/$store" --progress plain $base "$@" . >out 2>&1 || { code=$?; cat out; return $code; }
  if grep -q test-secret out; then echo "the secret was printed"; return 1; fi
}
fails() { # TEXT STORE ARGUMENTS...
  text=$1
  shift
  if build "$@" >said; then echo "no failure"; exit 1; fi
  grep -q -- "$text" said || { echo "not said: $text"; cat said; exit 1; }
}
python3 s3.py PUT /caches

build one --cache-to "$place,$account,mode=max,upload_parallelism=2"
build two --cache-from "$place,$account"
if grep -q 'DONE.*RUN\|runs because' out; then cat out; exit 1; fi
test "$(grep -c CACHED out)" -ge 3
build two --cache-from "$place,$account" -o type=tar,dest=two.tar # now the layers come, too
tar tf two.tar | grep -q '^large$'
python3 s3.py GET '/caches?list-type=2&prefix=team%2F' >list
test "$(grep -o '<Key>team/manifests/cbuild</Key>' list | wc -l)" = 1

# Again: nothing new to write; by the variables of the environment.
AWS_ACCESS_KEY_ID=test-id AWS_SECRET_ACCESS_KEY=test-secret AWS_REGION=here AWS_BUCKET=caches \
  build one --cache-to "type=s3,endpoint_url=$S3,prefix=team/,mode=max,name=cbuild;again"
python3 s3.py GET /caches/team/manifests/again >again
python3 s3.py GET /caches/team/manifests/cbuild | cmp - again

# Two at once, with steps of their own: a third machine has the steps of both.
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

# A blob that is gone: the step runs, and the build is right.
digest=$(python3 s3.py GET /caches/team/manifests/cbuild | python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][-1]["digest"])')
for hex in $(python3 s3.py GET /caches/team/manifests/cbuild | python3 -c 'import json, sys; print(*[l["digest"] for l in json.load(sys.stdin)["layers"]])'); do
  python3 s3.py DELETE "/caches/team/blobs/$(printf %s "$hex" | sed 's/:/%3A/')"
done
build three --cache-from "$place,$account" -o type=tar,dest=three.tar
tar tf three.tar | grep -q '^second$'
# An export writes them again, though the manifest names them.
build three --cache-to "$place,$account,mode=max"
python3 s3.py GET /caches/team/manifests/cbuild | grep -q layers

# Mistakes.
fails 'HTTP 403' one --cache-to "$place,access_key_id=test-id,secret_access_key=wrong-secret,mode=max"
build one --cache-to "$place,access_key_id=test-id,secret_access_key=wrong-secret,mode=max,ignore-error=true"
grep -q 'the cache is not exported' out
fails 'NoSuchBucket' one --cache-to "type=s3,bucket=missing,region=here,endpoint_url=$S3,$account,mode=max"
build four --cache-from "type=s3,bucket=missing,region=here,endpoint_url=$S3,$account"
grep -q 'is not used' out
fails 'needs bucket=' one --cache-to "type=s3,region=here"
fails 'no account for S3' one --cache-to "type=s3,bucket=caches,region=here,endpoint_url=$S3,mode=max"
