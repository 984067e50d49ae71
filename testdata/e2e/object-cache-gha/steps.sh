# SPDX-License-Identifier: Apache-2.0
# The cache service of GitHub Actions: a job takes the results of another one and of the default branch, two jobs that
# write at once keep each other's, removed entries are misses, and outside of GitHub the cache is left out.
set -eu
base="--build-context base=oci-layout://$BASES/busybox"
build() { # STORE ARGUMENTS...
  store=$1
  shift
  "$CBUILD" --root "$WORK/$store" --progress plain $base "$@" . >out 2>&1 || { code=$?; cat out; return $code; }
  if grep -q 'c2lnbmVk' out; then echo "the token was printed"; return 1; fi
}
ran() { # STORE NUMBER ARGUMENTS...
  store=$1 number=$2
  shift 2
  build "$store" "$@"
  found=$(grep -c 'runs because' out || true)
  [ "$found" = "$number" ] || { echo "$found steps ran instead of $number"; cat out; exit 1; }
}
calls() { curl -s "$GHA/log" >calls; }
remove() { curl -s -X POST "$GHA/remove?key=$1" >/dev/null; }

# Not a job of GitHub: left out, with one note.
build none --cache-to type=gha,mode=max --cache-from type=gha
grep -q 'type=gha is left out: this is not a job of GitHub Actions' out
[ "$(grep -c 'left out' out)" = 1 ]

export ACTIONS_RESULTS_URL=$GHA/ ACTIONS_RUNTIME_TOKEN=$GHA_TOKEN_MAIN
ran one 3 --cache-to type=gha,mode=max
ran two 0 --cache-from type=gha
build two --cache-from type=gha -o type=tar,dest=two.tar
tar tf two.tar | grep -q '^large$'
# The same again writes no entry.
calls
build one --cache-to type=gha,mode=max
calls
grep -q 'GetCacheEntryDownloadURL' calls
if grep 'CreateCacheEntry' calls; then cat out; exit 1; fi
# Listed instead of asked for one by one.
GITHUB_API_URL=$GHA build one --cache-to type=gha,mode=max,repository=o/r,ghtoken=rest
calls
grep -q '^list .*page=1&key=cbuild-blob-1-' calls
if grep 'GetCacheEntryDownloadURL cbuild-blob' calls; then exit 1; fi

# Another scope is another cache.
ran other 3 --cache-from type=gha,scope=other

# A topic branch sees the results of the default branch, which does not see its own.
sed -i 's/echo second/echo third/' Dockerfile
ACTIONS_RUNTIME_TOKEN=$GHA_TOKEN_TOPIC ran topic 1 --cache-from type=gha --cache-to type=gha,mode=max
ACTIONS_RUNTIME_TOKEN=$GHA_TOKEN_TOPIC ran topic2 0 --cache-from type=gha
ran main 1 --cache-from type=gha

for who in left right; do
  mkdir "$who-context"
  cp src.txt "$who-context"
  sed "s/third/$who/g" Dockerfile >"$who-context/Dockerfile"
  "$CBUILD" --root "$WORK/$who" --progress plain $base --cache-to type=gha,mode=max,scope=both "$who-context" >"$who.log" 2>&1 &
done
wait
for who in left right; do
  "$CBUILD" --root "$WORK/third" --progress plain $base --cache-from type=gha,scope=both "$who-context" >out 2>&1
  if grep -q 'runs because' out; then echo "lost: $who"; cat left.log right.log out; exit 1; fi
done

# Entries that the service has removed: layers, then the index, are misses, and are written again.
remove cbuild-blob-1-
build gone --cache-from type=gha -o type=tar,dest=gone.tar
grep -q 'runs because' out
build one --cache-to type=gha,mode=max
ran again 0 --cache-from type=gha
remove cbuild-
ran empty 3 --cache-from type=gha
build one --cache-to type=gha,mode=max
ran back 0 --cache-from type=gha

# A service that refuses.
if ACTIONS_RUNTIME_TOKEN=$GHA_TOKEN_WRONG build one --cache-to type=gha,mode=max >said; then exit 1; fi
grep -q 'HTTP 401' said
ACTIONS_RUNTIME_TOKEN=$GHA_TOKEN_WRONG build one --cache-to type=gha,ignore-error=true
grep -q 'the cache is not exported' out
ACTIONS_RUNTIME_TOKEN=x.y.z build one --cache-from type=gha
grep -q 'the cache is not imported: the token of GitHub Actions' out
