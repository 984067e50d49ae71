#!/bin/bash
# Every flag that names a file, at every kind of place: the existing file keeps its kind and gets the bytes. Runs in a mount namespace of its
# own; the nodes are its own, too.
set -euo pipefail
mount -t tmpfs -o size=8m,mode=755 none places
cd places
mknod null c 1 3
mknod full c 1 7
ln -s null link

write() { # FLAG PLACE
  case $1 in
    oci|docker|tar) "$CBUILD" -q -o "type=$1,dest=$2" "$WORK/context" >/dev/null ;;
    history) "$CBUILD" history export -o "$2" ;;
    *) "$CBUILD" -q "--$1" "$2" "$WORK/context" >/dev/null ;;
  esac
}
holds() { # FLAG FILE: it begins as the flag's file does
  case $1 in
    oci|docker) tar -tf "$2" | grep -x index.json >/dev/null ;;
    tar) tar -tf "$2" | grep -x sub/two >/dev/null ;;
    iidfile) grep -qE '^sha256:[0-9a-f]{64}$' "$2" ;;
    metadata-file) grep -q containerimage.digest "$2" ;;
    history) grep -q cbuild.history.v1 "$2" ;;
  esac
}
die() { echo "$*" >&2; exit 1; }

for flag in oci docker tar iidfile metadata-file history; do
  write $flag null
  write $flag link
  [ -c null ] && [ -L link ] || die "$flag: the device or the link is gone"
  code=0; write $flag full 2>err || code=$?
  [ $code = 3 ] && grep -q '^ERROR: .*write full: No space left on device' err && grep -q '^hint: full is on the disk mounted at .*/places' err ||
    die "$flag: full device: exit code $code, $(cat err)"

  mkfifo fifo; cat fifo > got & write $flag fifo; wait $!
  [ -p fifo ] && holds $flag got || die "$flag: FIFO"
  write $flag >(cat > got2; touch done); while [ ! -e done ]; do sleep 0.05; done
  holds $flag got2 || die "$flag: process substitution"

  echo old > target; chmod 604 target; chown 12:34 target; ln -s target to-target
  write $flag to-target
  [ -L to-target ] && holds $flag target && [ "$(stat -c '%a %u:%g' target)" = "604 12:34" ] || die "$flag: link or mode"
  echo old > behind; touch bound; mount --bind behind bound
  write $flag bound
  holds $flag bound && holds $flag behind || die "$flag: mount point"
  umount bound
  write $flag new/parents/file
  holds $flag new/parents/file || die "$flag: parents"
  code=0; write $flag . 2>err || code=$?
  [ $code != 0 ] && grep -q ' is a directory' err || die "$flag: directory: exit code $code, $(cat err)"
  rm -rf fifo got got2 done target to-target behind bound new err
done
[ "$(ls -A)" = "$(printf 'full\nlink\nnull')" ] || die "left: $(ls -A)"
