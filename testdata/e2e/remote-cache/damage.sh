#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# damage.sh corrupt|remove REPOSITORY TAG: damages the largest layer of a manifest in the registry's storage.
set -eu
layer=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/$2:$3" |
  python3 -c 'import json,sys; print(max(json.load(sys.stdin)["layers"], key=lambda l: l["size"] if l["size"] < 500000 else 0)["digest"].split(":")[1])')
data="$WORK/registry/docker/registry/v2/blobs/sha256/$(echo "$layer" | cut -c1-2)/$layer/data"
case $1 in
  corrupt) printf 'damaged' | dd of="$data" bs=1 seek=100 conv=notrunc status=none ;;
  remove) rm "$data" ;;
esac
