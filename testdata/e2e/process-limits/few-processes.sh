#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# few-processes.sh MOST: the build of threads.Dockerfile by a user of its own who may have so many processes and threads.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp threads.Dockerfile "$work/Dockerfile"
head -c 3000000 large >"$work/f"
id=$((1900000000 + $$))
chown -R $id:$id "$work"
cd "$work"
code=0
setpriv --reuid=$id --regid=$id --clear-groups env -i PATH="$PATH" HOME="$work" CBUILD_ROOT="$work/store" bash -c '
    ulimit -u "$1"
    exec "$2" --progress plain --build-context "base=oci-layout://$3/busybox" -o type=tar,dest=out.tar .' few "$1" "$CBUILD" "$BASES" \
    >log 2>&1 || code=$?
if ((code)); then
    grep -o 'this user may have [0-9]* processes and threads at once; raise .*' log | sort -u | sed 's/^/hint: /;s/have [0-9]*/have N/'
    exit $code
fi
echo "$1:" $(tar -xOf out.tar a b c)
