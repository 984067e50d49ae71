# SPDX-License-Identifier: Apache-2.0
# One image in a mirror only. Each kind of file leads there from a registry that does not exist; then the ways that do not.
set -eu
. "$KIT/fails.sh"
mkdir -p "$CBUILD_ETC/containers/registries.conf.d" "$CBUILD_ETC/docker"
conf="$CBUILD_ETC/containers/registries.conf"
digest() { "$CBUILD" inspect --format '{{.Manifest.Digest}}' "docker://$1" 2>log; }
from() { "$CBUILD" --pull --build-arg FROM="$1" --progress plain -o type=oci,dest=out.tar . 2>log; }
wanted=$(digest "$MIRROR/cache/team/image:1")

# registries.conf: the first mirror is dead, the second lacks the image, the third has it.
cat >"$conf" <<EOF
[[registry]]
prefix = "registry.invalid"
[[registry.mirror]]
location = "127.0.0.1:9/none"
[[registry.mirror]]
location = "$REGISTRY/none"
[[registry.mirror]]
location = "$MIRROR/cache"
[[registry]]
prefix = "*.bad.invalid"
blocked = true
[[registry]]
prefix = "old.invalid/team"
location = "$MIRROR/cache/team"
EOF
from registry.invalid/team/image:1
grep -q "127.0.0.1:9/none/team/image ($conf): .*; asking $REGISTRY/none/team/image instead" log
test "$(grep -c '; asking' log)" = 1
test "$(digest registry.invalid/team/image:1)" = "$wanted"
"$CBUILD" copy docker://registry.invalid/team/image:1 oci-layout://copied:1 2>log
from old.invalid/team/image:1

# Nobody has it: every place, its reason and the file are named.
if from registry.invalid/team/none:1; then exit 1; fi
grep -q "pull of registry.invalid/team/none:1 from registry.invalid/team/none ($conf): .*; before that 127.0.0.1:9/none/team/none ($conf): .*; $REGISTRY/none/team/none ($conf): HTTP 404.*; $MIRROR/cache/team/none ($conf): HTTP 404" log

# Blocked in both directions; pushes do not go to mirrors.
if from a.bad.invalid/x:1; then exit 1; fi
grep -q "\*.bad.invalid is blocked in $conf" log
if "$CBUILD" -t a.bad.invalid/x:1 --push --build-arg FROM=old.invalid/team/image:1 . 2>log; then exit 1; fi
grep -q "\*.bad.invalid is blocked in $conf" log
if "$CBUILD" -t registry.invalid/team/pushed:1 --push --build-arg FROM=old.invalid/team/image:1 . 2>log; then exit 1; fi
if digest "$MIRROR/cache/team/pushed:1"; then exit 1; fi

# A remote cache behind a mirror.
rm -rf "$CBUILD_ROOT"
printf 'FROM old.invalid/team/image:1\nRUN echo cached > /cached\n' >cached.Dockerfile
"$CBUILD" -f cached.Dockerfile --cache-to "type=registry,ref=$MIRROR/cache/team/cache:1,mode=max" -o type=oci,dest=out.tar . 2>log
rm -rf "$CBUILD_ROOT"
"$CBUILD" -f cached.Dockerfile --progress plain --cache-from type=registry,ref=registry.invalid/team/cache:1 -o type=oci,dest=out.tar . 2>log
grep -q CACHED log

# hosts.toml of containerd, with a root of its own.
mkdir -p "$CBUILD_ETC/containerd/certs.d/hosts.invalid_5000_"
cat >"$CBUILD_ETC/containerd/certs.d/hosts.invalid_5000_/hosts.toml" <<EOF
server = "https://server.invalid"
[host."http://$MIRROR/v2/cache"]
capabilities = ["pull", "resolve"]
override_path = true
EOF
from hosts.invalid:5000/team/image:1

# daemon.json: Docker Hub.
echo "{\"registry-mirrors\": [\"http://$MIRROR\"], \"insecure-registries\": [\"127.0.0.0/8\"]}" >"$CBUILD_ETC/docker/daemon.json"
from only-in-the-mirror:1

# A registry whose certificate nobody knows, on an address in the range of daemon.json.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=nobody -keyout key.pem -out cert.pem -days 2 2>/dev/null
python3 tls.py "$MIRROR" cert.pem key.pem >address &
server=$!
trap 'kill $server' EXIT
until test -s address; do sleep 0.05; done
test "$(digest "$(cat address)/cache/team/image:1")" = "$wanted"
echo '{}' >"$CBUILD_ETC/docker/daemon.json"
if digest "$(cat address)/cache/team/image:1"; then exit 1; fi
grep -q 'certificate' log
mkdir -p "$CBUILD_ETC/docker/certs.d/$(cat address)"
cp cert.pem "$CBUILD_ETC/docker/certs.d/$(cat address)/ca.crt"
if digest "$(cat address)/cache/team/image:1"; then exit 1; fi
grep -q 'for another host' log

# The files are shown.
"$CBUILD" doctor >said || true
grep -q "registry.invalid: mirror 127.0.0.1:9/none; mirror $REGISTRY/none; mirror $MIRROR/cache  ($conf)" said
grep -q "hosts.invalid_5000_: mirror http://$MIRROR/v2/cache; server https://server.invalid/v2" said
echo 'x = ' >"$CBUILD_ETC/containers/registries.conf.d/broken.conf"
if from busybox:1; then exit 1; fi
grep -q 'registries.conf.d/broken.conf:1: ' log
rm "$CBUILD_ETC/containers/registries.conf.d/broken.conf"

# buildkitd.toml, and the accounts of a helper that registries.conf names.
mkdir -p "$CBUILD_ETC/buildkit" helpers
cat >"$CBUILD_ETC/buildkit/buildkitd.toml" <<EOF
[registry."buildkit.invalid"]
mirrors = ["$MIRROR/cache"]
[registry."$MIRROR"]
http = true
EOF
from buildkit.invalid/team/image:1
printf '#!/bin/sh\ncat >>"$0.asked"\necho credentials not found in native keychain\nexit 1\n' >helpers/docker-credential-mine
chmod 755 helpers/docker-credential-mine
printf 'credential-helpers = ["mine"]\n' >"$CBUILD_ETC/containers/registries.conf.d/helpers.conf"
PATH="$PWD/helpers:$PATH" digest buildkit.invalid/team/image:1 >/dev/null
"$CBUILD" doctor >said || true
grep -q "buildkit.invalid: mirror $MIRROR/cache  ($CBUILD_ETC/buildkit/buildkitd.toml)" said

# What is added to is read where it is written, not from a mirror that has another image under the name.
"$CBUILD" copy "docker://$MIRROR/cache/team/image:1" "docker://$REGISTRY/team/image:1" 2>log
printf 'FROM old.invalid/team/image:1\nLABEL other=image\n' >other.Dockerfile
"$CBUILD" -f other.Dockerfile --progress plain -o type=oci,dest=other.tar . 2>log
"$CBUILD" copy oci-archive://other.tar "docker://$MIRROR/stale/team/image:1" 2>log
cat >"$conf" <<EOF
[[registry]]
prefix = "$REGISTRY/team"
[[registry.mirror]]
location = "$MIRROR/stale/team"
EOF
stale=$(digest "$REGISTRY/team/image:1")
test "$stale" != "$wanted"
"$CBUILD" index create --append -t "$REGISTRY/team/image:1" --annotation index:a=b --dry-run >appended 2>log
grep -q "$wanted" appended
if grep -q "$stale" appended; then exit 1; fi
