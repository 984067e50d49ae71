# SPDX-License-Identifier: Apache-2.0
# One remote cache for several platforms, written by one build and read by one: each platform has its own results, what
# the platforms share is there once, and a platform that was never built is a miss.
set -eu
base="--build-context base=oci-layout://$BASES/busybox"
both=linux/amd64,linux/arm64
build() { # STORE ARGUMENTS...
  store=$1
  shift
  "$CBUILD" --root "$WORK/$store" --progress plain $base "$@" . >out 2>&1 || { code=$?; cat out; return $code; }
}
# The steps that ran, without their numbers; "shared" is the RUN that no platform changes.
ran() { # STORE EXPECTED ARGUMENTS...
  store=$1 expected=$2
  shift 2
  build "$store" "$@"
  found=$(sed -n 's/^#\([0-9]*\) runs because.*/\1/p' out | while read -r n; do
    sed -n "s/^#$n \[\(.*\) [0-9]*\/[0-9]*\] \(RUN echo .\|COPY --from\|COPY src\).*/\1 \2/p" out | head -n 1
  done | sort | tr '\n' ';')
  [ "$found" = "$expected" ] || { echo "ran: $found"; echo "not:  $expected"; cat out; exit 1; }
}

for kind in "type=registry,ref=$REGISTRY/cache:max,mode=max" "type=local,dest=$WORK/directory,mode=max"; do
  from=$(echo "$kind" | sed 's/dest=/src=/')
  name=$(echo "$kind" | sed 's/,.*//; s/.*=//')
  build "$name-one" --platform $both --cache-to "$kind"
  ran "$name-two" '' --platform $both --cache-from "$from"
  ran "$name-arm" '' --platform linux/arm64 --cache-from "$from"
  # Another platform shares what is not its own.
  build "$name-other" --platform linux/s390x --cache-from "$from"
  grep -A1 'RUN echo shared' out | grep -q CACHED || { cat out; exit 1; }
  [ "$(grep -c 'runs because' out)" = 3 ] || { cat out; exit 1; }
  # Its results come to those of the others.
  build "$name-other" --platform linux/s390x --cache-to "$kind"
  ran "$name-three" '' --platform $both,linux/s390x --cache-from "$from"
  # A changed file is a miss of both.
  echo two >src.txt
  build "$name-four" --platform $both --cache-from "$from"
  [ "$(grep -c 'runs because' out)" -ge 1 ]
  if grep -A1 'RUN echo\|COPY --from' out | grep -q 'runs because'; then cat out; exit 1; fi
  echo one >src.txt
done

# The results of two builds for a platform each.
build amd --platform linux/amd64 --cache-to "type=registry,ref=$REGISTRY/cache:apart,mode=max"
build arm --platform linux/arm64 --cache-to "type=registry,ref=$REGISTRY/cache:apart,mode=max"
ran apart '' --platform $both --cache-from "type=registry,ref=$REGISTRY/cache:apart"

# In the images of an index: each platform finds its own, and only those that are there.
build inline --platform $both --cache-to type=inline -t "$REGISTRY/app:inline" --push
build inline-two --platform $both --cache-from "type=registry,ref=$REGISTRY/app:inline"
if grep -A3 'COPY' out | grep -q 'runs because'; then cat out; exit 1; fi
build inline-arm --platform linux/arm64 --cache-from "type=registry,ref=$REGISTRY/app:inline"
if grep -A3 'COPY' out | grep -q 'runs because'; then cat out; exit 1; fi
build inline-other --platform linux/s390x --cache-from "type=registry,ref=$REGISTRY/app:inline"
grep -q 'runs because' out
