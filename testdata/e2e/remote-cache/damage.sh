#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# damage.sh corrupt|remove REPOSITORY TAG: damages the layers of random bytes (about 100 kB) of a manifest in the registry's storage.
set -eu
layers=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/$2:$3" |
  python3 -c 'import json,sys; print(*(l["digest"].split(":")[1] for l in json.load(sys.stdin)["layers"] if 50000 < l["size"] < 500000))')
test -n "$layers"
for layer in $layers; do
  data="$WORK/registry/docker/registry/v2/blobs/sha256/$(echo "$layer" | cut -c1-2)/$layer/data"
  case $1 in
    corrupt) printf 'damaged' | dd of="$data" bs=1 seek=100 conv=notrunc status=none ;;
    remove) rm "$data" ;;
  esac
done
