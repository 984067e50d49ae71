#!/bin/bash
# What -q and --iidfile say, for a file, the store and engines of both kinds; the engine's client is a script.
set -euo pipefail
mkdir bin
cat > bin/docker <<'D'
#!/bin/bash
echo "$*" >> calls
case "$*" in
  *load*) cat > loaded.tar ;;
  *info*) cat driver ;;
esac
D
chmod +x bin/docker
export PATH=$PWD/bin:$PATH
check() { # KEY ARGUMENTS...: -q and --iidfile give this member of the metadata
  local key=$1 id; shift
  id=$("$CBUILD" -q --iidfile id --metadata-file meta "$@" .)
  local want; want=$(python3 -c 'import json,sys; print(json.load(open("meta"))[sys.argv[1]])' "$key")
  [ "$id" = "$want" ] && [ "$(cat id)" = "$want" ] || { echo "$*: $id, $(cat id), not $want" >&2; exit 1; }
}
echo '[["Backing Filesystem","extfs"]]' > driver
check containerimage.config.digest
check containerimage.config.digest -t a:1 -o type=oci,dest=a.tar
check containerimage.config.digest --load -t a:1
[ "$(tar -xOf loaded.tar manifest.json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["RepoTags"][0])')" = a:1 ]
echo '[["driver-type","io.containerd.snapshotter.v1"]]' > driver
check containerimage.digest --load -t a:1
rm calls
check containerimage.digest -o type=docker,context=far
[ "$(cat calls)" = "$(printf -- '--context far load --quiet\n--context far info --format {{json .DriverStatus}}')" ] || { cat calls; exit 1; }
rm calls
"$CBUILD" --load . 2>/dev/null
[ "$(cat calls)" = "load --quiet" ] || { cat calls; exit 1; }
