# SPDX-License-Identifier: Apache-2.0
# Images into a dockerd, a podman service and a containerd of the case's own, without docker's program.
set -eu
. "$KIT/fails.sh"
export DOCKER_CONFIG="$PWD/docker-config" XDG_RUNTIME_DIR="$PWD/runtime"
mkdir -p "$DOCKER_CONFIG" "$XDG_RUNTIME_DIR" none
programs=$PATH
build() { PATH="$PWD/none" "$CBUILD" --build-context "base=oci-layout://$BASES/busybox" --progress plain "$@" . 2>log; }
docker() { /usr/bin/docker --host "unix://$DOCKER_SOCKET" "$@"; }
grown() { # by how many bytes the count of what was sent has grown
  now=$(cat count)
  echo $((now - before))
  before=$now
}
python3 passing.py "$DOCKER_SOCKET" count >port &
passing=$!
trap 'test $? = 0 || cat log; kill $passing' EXIT
until test -s port; do sleep 0.05; done
before=0

# Docker: over its socket, then over TCP with the layers that it lacks only.
DOCKER_HOST="unix://$DOCKER_SOCKET" build --load -t app:1 --iidfile id
test "$(docker image inspect -f '{{.Id}}' app:1)" = "$(cat id)"
export DOCKER_HOST="tcp://127.0.0.1:$(cat port)"
build --load -t app:again
test "$(grown)" -lt 1000000
echo second >word
build --load -t app:2 --iidfile id
test "$(grown)" -lt 1000000
test "$(docker image inspect -f '{{.Id}}' app:2)" = "$(cat id)"
docker save app:2 -o saved.tar
test "$("$CBUILD" inspect --format '{{len .Manifest.Layers}}' docker-archive:saved.tar)" -ge 3
docker image rm app:1 app:2 app:again >/dev/null
build --load -t app:3
test "$(grown)" -gt 8000000
unset DOCKER_HOST

# Contexts.
PATH=$programs /usr/bin/docker context create far --docker "host=tcp://127.0.0.1:$(cat port)" >/dev/null
build -o type=docker,context=far -t app:far
docker image inspect app:far >/dev/null
DOCKER_CONTEXT=far build --load -t app:context
docker image inspect app:context >/dev/null
printf '{"currentContext": "far"}' >"$DOCKER_CONFIG/config.json"
build --load -t app:current
docker image inspect app:current >/dev/null
rm "$DOCKER_CONFIG/config.json"
if build -o type=docker,context=nowhere -t app:1; then exit 1; else test $? = 2; fi
grep -q 'docker context "nowhere" does not exist' log

# TLS, and ssh, which is a script here.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=engine -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out ca.pem -days 2 2>/dev/null
python3 passing.py "$DOCKER_SOCKET" tls-count ca.pem key.pem >tls-port &
passing="$passing $!"
until test -s tls-port; do sleep 0.05; done
DOCKER_HOST="tcp://127.0.0.1:$(cat tls-port)" DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$PWD" build --load -t app:tls
docker image inspect app:tls >/dev/null
if DOCKER_HOST="tcp://127.0.0.1:$(cat tls-port)" DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$PWD/none" build --load -t app:no; then exit 1; fi
grep -q "engine at tcp://127.0.0.1:$(cat tls-port) (DOCKER_HOST): " log
mkdir remote
printf '#!/bin/sh\necho "$@" >>%s/said\nwhile test "$1" != docker; do shift; done\nshift\nPATH=%s exec /usr/bin/docker "$@"\n' "$PWD" "$programs" >remote/ssh
chmod 755 remote/ssh
PATH="$PWD/remote" DOCKER_HOST="ssh://me@there:2222$DOCKER_SOCKET" "$CBUILD" --build-context "base=oci-layout://$BASES/busybox" --load -t app:ssh . 2>log
docker image inspect app:ssh >/dev/null
grep -q -- "-T -l me -p 2222 -- there docker --host unix://$DOCKER_SOCKET system dial-stdio" said

# Podman.
DOCKER_HOST="unix://$PODMAN_SOCKET" build --load -t localhost/app:podman
CONTAINER_HOST="unix://$PODMAN_SOCKET" build --load -t localhost/app:podman2
podman --url "unix://$PODMAN_SOCKET" image exists localhost/app:podman2
mkdir -p "$XDG_RUNTIME_DIR/podman"
ln -s "$PODMAN_SOCKET" "$XDG_RUNTIME_DIR/podman/podman.sock"
if ! test -e /var/run/docker.sock; then
  build --load -t localhost/app:found
  podman --url "unix://$PODMAN_SOCKET" image exists localhost/app:found
fi

# containerd, by ctr: blobs that it has are not sent.
containerd="$WORK/docker/exec/containerd/containerd.sock"
ctr() { PATH=$programs command ctr --address "$containerd" --namespace own "$@"; }
cat >remote/ctr <<EOF
#!/bin/sh
case "\$*" in *import*) cat >archive; wc -c <archive >>sizes; exec /usr/bin/ctr "\$@" <archive ;; esac
exec /usr/bin/ctr "\$@"
EOF
chmod 755 remote/ctr
load() { PATH="$PWD/remote:$programs" "$CBUILD" --build-context "base=oci-layout://$BASES/busybox" -o "type=docker,context=containerd://$containerd?namespace=own" "$@" . 2>log; }
load -t example.test/app:1
ctr images ls -q | grep -qx example.test/app:1
echo third >word
load -t example.test/app:2
ctr images ls -q | grep -qx example.test/app:2
test "$(wc -l <sizes)" = 2
test "$(sed -n 1p sizes)" -gt 8000000
test "$(sed -n 2p sizes)" -lt 1000000
ctr images rm example.test/app:1 example.test/app:2 >/dev/null
if load; then exit 1; else test $? = 3; fi
grep -q "containerd keeps images under names only" log

# Nobody there.
DOCKER_HOST=unix:///nowhere/docker.sock fails 3 "engine at unix:///nowhere/docker.sock (DOCKER_HOST): nothing listens at the socket" "$CBUILD" --build-context "base=oci-layout://$BASES/busybox" --load -t app:1 .
