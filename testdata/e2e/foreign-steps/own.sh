# As a user: the emulator is registered in the build's own user namespace. Before Linux 6.7 there is only the machine's.
set -euo pipefail
before=$(ls /proc/sys/fs/binfmt_misc)
build() { "$CBUILD" --progress plain --platform linux/arm64 --build-context base=oci-layout://$WORK/context/base "$@" . 2>&1; }
if [ "$(printf '6.7\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.7 ]; then
  build | tee log
  grep -q 'programs of arm64 are run by /.*/qemu-aarch64' log
  grep -q 'hello from arm64$' log
  PATH=/nonexistent build | grep 'CACHED'
else
  build | tee log || true
  grep -q 'Linux 6.7 and later\|no emulator could be registered' log
fi
test "$before" = "$(ls /proc/sys/fs/binfmt_misc)"
