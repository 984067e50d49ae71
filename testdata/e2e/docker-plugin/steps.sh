# SPDX-License-Identifier: Apache-2.0
# docker's client of Debian and a dockerd of the case's own, with cbuild as the plugin buildx.
set -eu
. "$KIT/fails.sh"
export DOCKER_CONFIG="$PWD/docker-config" DOCKER_HOST="unix://$DOCKER_SOCKET"
mkdir -p "$DOCKER_CONFIG"
docker() { /usr/bin/docker "$@"; }
base="base=oci-layout://$BASES/busybox"
trap 'test $? = 0 || cat log' EXIT
: >log

# The link; another program of that name stays.
"$CBUILD" plugin install | grep "installed: $DOCKER_CONFIG/cli-plugins/docker-buildx"
test "$(readlink "$DOCKER_CONFIG/cli-plugins/docker-buildx")" = "$CBUILD"
mkdir others
echo other >others/docker-buildx
fails 2 "others/docker-buildx is another program" "$CBUILD" plugin install --directory others
docker info -f '{{range .ClientInfo.Plugins}}{{.Name}} {{.Version}}{{end}}' | grep 'buildx v0.[0-9]*.[0-9]*+cbuild'
docker buildx version | grep cbuild

# The engine has the image, and the store keeps it for a FROM.
docker buildx build --build-context "$base" -t example.test/app:1 --iidfile id --metadata-file m.json . 2>log
test "$(docker image inspect -f '{{.Id}} {{.Config.Labels.part}}' example.test/app:1)" = "$(cat id) app"
test "$(jq -r '."containerimage.digest"' m.json)" = "$(cat id)"
docker --context default buildx --builder default build -t example.test/user:1 - <user.Dockerfile 2>log
docker image inspect example.test/user:1 >/dev/null
docker buildx build -q --build-context "$base" . >quiet 2>log
docker image inspect "$(cat quiet)" >/dev/null
docker buildx build --build-context "$base" --build-arg GREETING=out -o out . 2>log
test "$(cat out/greeting)" = "out "
test "$(docker image ls -q | sort -u | wc -l)" = 2
BUILDX_NO_DEFAULT_LOAD=1 docker buildx build --build-context "$base" -t example.test/kept:1 . 2>log
if docker image inspect example.test/kept:1 2>/dev/null; then exit 1; fi
fails 2 "the engine keeps one platform of an image" /usr/bin/docker buildx build --build-context "$base" --platform linux/amd64,linux/386 --target low .
fails 3 "nothing listens at the socket" /usr/bin/docker --host unix:///nowhere/docker.sock buildx build --build-context "$base" .

# `docker build` of 20.10 goes to the plugin by the alias; newer ones do it without.
docker buildx install
grep -q '"builder": "buildx"' "$DOCKER_CONFIG/config.json"
DOCKER_BUILDKIT=1 docker build --rm --force-rm --build-context "$base" --build-arg GREETING=plain -t example.test/app:2 . 2>log
docker image inspect example.test/app:2 >/dev/null
docker buildx uninstall

# The other commands.
docker buildx create --use --name ci --driver docker-container | grep '^ci$'
docker buildx ls | grep '^default\*'
docker buildx inspect --bootstrap | grep 'Driver: cbuild'
docker context create far --docker host=tcp://192.0.2.1:1 >/dev/null
BUILDX_BUILDER=far docker buildx ls --format '{{.Name}} {{(index .Nodes 0).Endpoint}}' | grep '^far tcp://192.0.2.1:1$'
fails 2 "docker context use far" /usr/bin/docker buildx use far
docker buildx --builder ci du | grep Reclaimable
docker buildx history ls --format '{{.Status}}' | grep '^ok$'
docker buildx history ls --no-trunc | grep '^BUILD'
docker buildx history inspect --format json >entry.json
ref=$(jq -r '."buildx.build.ref"' m.json)
test "$(jq -r .id entry.json)" != ""
docker buildx history logs --progress plain "$ref" 2>&1 >/dev/null
docker buildx imagetools inspect "store://example.test/app:1" | grep 'Digest:'
docker buildx prune -f --filter until=24h | grep Total
docker buildx stop ci
docker buildx rm ci
docker buildx --help | grep imagetools
fails 4 "there is no builder for --driver kubernetes" /usr/bin/docker buildx create --driver kubernetes

# What compose sends: static JSON on standard input; it reads lines of JSON from stderr and the metadata file.
sed "s|@CONTEXT@|$PWD|;s|@BASES@|$BASES|" compose.json >sent.json
plugin="$DOCKER_CONFIG/cli-plugins/docker-buildx"
WORD=secret "$plugin" bake --file - --progress rawjson --metadata-file bake.json --allow "fs.read=$PWD" --builder default <sent.json 2>status
jq -es 'map(.vertexes[]?.name) | map(select(. != null)) | any(contains("RUN echo worker"))' status >/dev/null
test "$(jq -r 'keys | join(" ")' bake.json)" = "web worker"
for service in web worker; do
  test "$(docker image inspect -f '{{.Id}}' demo-$service)" = "$(jq -r ".$service.\"containerimage.digest\"" bake.json)"
  test "$(jq -r ".$service.\"image.name\"" bake.json)" = docker.io/library/demo-$service:latest
done
test "$(docker image inspect -f '{{index .Config.Labels "com.docker.compose.service"}}' demo-web)" = web
# A step that fails: the lines that are not JSON are the message.
jq '.target.web["dockerfile-inline"] = "FROM base\nRUN exit 9\n"' sent.json >failing.json
if WORD=secret "$plugin" bake --file - --progress rawjson --metadata-file bake.json --allow "fs.read=$PWD" <failing.json 2>status; then exit 1; fi
grep -v '^{' status | grep 'exit code: 9'
# `docker compose build --check`.
jq '.target[] |= (del(.output) | .call = "lint")' sent.json >check.json
rm bake.json
"$plugin" bake --file - --progress rawjson --metadata-file bake.json --allow "fs.read=$PWD" <check.json 2>status | grep -i warnings
test -f bake.json

# Removed, docker has the command no more.
"$CBUILD" plugin remove | grep removed
if docker buildx version 2>/dev/null; then exit 1; fi
