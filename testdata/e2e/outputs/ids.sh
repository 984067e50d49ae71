#!/bin/bash
# The ids of -q and --iidfile, for a file, the store and engines of both kinds ($KIT/fake_engine.py in engine/ and far/).
set -euo pipefail
export DOCKER_CONFIG=$PWD/docker-config
check() { # KEY ARGUMENTS...: -q and --iidfile give this member of the metadata
  local key=$1 id; shift
  id=$("$CBUILD" -q --iidfile id --metadata-file meta "$@" .)
  local want; want=$(python3 -c 'import json,sys; print(json.load(open("meta"))[sys.argv[1]])' "$key")
  [ "$id" = "$want" ] && [ "$(cat id)" = "$want" ] || { echo "$*: $id, $(cat id), not $want" >&2; exit 1; }
}
echo '[["Backing Filesystem","extfs"]]' > engine/driver

# A build that fails leaves no id of an earlier one; one that works keeps the mode of the file and the link to it.
touch target; chmod 640 target; ln -s target link
for file in plain link; do
  echo old >$file
  printf 'FROM scratch\nCOPY missing /\n' >bad.Dockerfile
  code=0; "$CBUILD" -q --iidfile $file -f bad.Dockerfile . 2>/dev/null || code=$?
  [ $code = 1 ] && [ ! -e $file ] || { echo "$file: code $code, $(cat $file)" >&2; exit 1; }
done
rm bad.Dockerfile
echo old >target; chmod 640 target
"$CBUILD" -q --iidfile link . >id
[ "$(cat link)" = "$(cat id)" ] && [ -L link ] && [ "$(stat -c %a target)" = 640 ] || { ls -l link target >&2; exit 1; }
for type in local tar; do
  code=0; "$CBUILD" --iidfile id -o type=$type,dest=files.$type . 2>err || code=$?
  [ $code = 2 ] && [ ! -e files.$type ] && grep -q '^ERROR: --iidfile: an output of type=local or type=tar has no image id' err || { cat err >&2; exit 1; }
done
[ -z "$("$CBUILD" -q -o type=local,dest=files.local .)" ]
rm -r link target id err files.local

check containerimage.config.digest
check containerimage.config.digest -t a:1 -o type=oci,dest=a.tar
check containerimage.config.digest --load -t a:1
[ "$(tar -xOf engine/loaded.tar manifest.json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["RepoTags"][0])')" = a:1 ]
echo '[["driver-type","io.containerd.snapshotter.v1"]]' > engine/driver
check containerimage.digest --load -t a:1
name=$(printf far | sha256sum | cut -c1-64)
mkdir -p "$DOCKER_CONFIG/contexts/meta/$name"
echo "{\"Name\": \"far\", \"Endpoints\": {\"docker\": {\"Host\": \"unix://$PWD/far/sock\"}}}" >"$DOCKER_CONFIG/contexts/meta/$name/meta.json"
cp engine/driver far/driver
rm engine/calls
check containerimage.digest -o type=docker,context=far
[ ! -e engine/calls ] && [ "$(tail -n 1 far/calls)" = "GET /info" ] && grep -q '^POST /images/load?quiet=1$' far/calls || { cat far/calls; exit 1; }
"$CBUILD" --load . 2>/dev/null
[ "$(tail -n 1 engine/calls)" = "POST /images/load?quiet=1" ] || { cat engine/calls; exit 1; }
