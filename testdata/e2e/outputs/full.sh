#!/bin/bash
# A disk that ends: the old archive stays whole, and the error names it and its disk, not the store.
set -euo pipefail
mount -t tmpfs -o size=512k,mode=755 none places
cd places
head -c 100000 /dev/urandom > old; cp old out.tar
for type in oci docker tar; do
  code=0; "$CBUILD" -o "type=$type,dest=out.tar" "$WORK/context" 2>err || code=$?
  [ $code = 3 ] && cmp old out.tar && grep -q '^ERROR: write out.tar: No space left on device' err &&
    grep -q '^hint: out.tar is on the disk mounted at .*/places (' err || { cat err; exit 1; }
done
rm out.tar
for out in type=local,dest=dir type=oci,tar=false,dest=dir; do
  code=0; "$CBUILD" -o $out "$WORK/context" 2>err || code=$?
  [ $code = 3 ] && grep -q '^ERROR: write dir: .*No space left on device' err && grep -q '^hint: dir is on the disk mounted at .*/places (' err ||
    { cat err; exit 1; }
  rm -rf dir
done
code=0; "$CBUILD" --cache-to type=local,dest=cache "$WORK/context" 2>err || code=$?
[ $code = 3 ] && grep -q '^hint: .*/places/cache is on the disk mounted at .*/places (' err || { cat err; exit 1; }
rm -rf cache
[ "$(ls -A)" = "$(printf 'err\nold')" ] || { ls -A; exit 1; }
