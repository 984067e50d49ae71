# As root, on a machine that is seen to have no interpreter: refused before the first step, unless nothing has to run.
set -euo pipefail
mkdir fake
echo enabled > fake/status
[ ! -d /proc/sys/fs/binfmt_misc ] || mount --bind fake /proc/sys/fs/binfmt_misc
export CBUILD_ROOT=$WORK/refused
code=0
"$CBUILD" --progress plain --platform linux/arm64 --build-context tools=oci-layout://$BASES/busybox \
  --build-context base=oci-layout://$WORK/context/base -f refused.Dockerfile . > log 2>&1 || code=$?
cat log
test $code = 4
! grep -q 'ran on this machine' log
grep -q 'RUN for linux/arm64: no interpreter for its programs is registered on this machine' log
test "$(grep -c 'install qemu-user-static' log)" = 1
! grep -qi warning log
