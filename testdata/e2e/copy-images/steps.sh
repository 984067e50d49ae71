# SPDX-License-Identifier: Apache-2.0
# One image through every kind of place, with the same digest in each; then an index of two platforms.
set -eu
say() { echo "$*" >&2; }
. "$KIT/fails.sh"
digest() { "$CBUILD" inspect --format '{{.Manifest.Digest}}' "$1"; }
remote="docker://$REGISTRY"

# Store, registry, layout, archives.
"$CBUILD" copy "$REGISTRY/team/one:1" "$REGISTRY/team/one:1" >first 2>log
grep -q '2 of 2 blobs moved\|3 of 3 blobs moved' log
test "$(cat first)" = "$(digest "store://$REGISTRY/team/one:1")"
"$CBUILD" copy "$REGISTRY/team/one:1" "$REGISTRY/team/one:1" 2>log >/dev/null
grep -q 'has it already' log
"$CBUILD" copy "$remote/team/one:1" "$REGISTRY/other/one:2" 2>log >second
grep -q ' 0 of . blobs moved' log # mounted
cmp first second
"$CBUILD" copy "$remote/team/one:1" oci-layout://layout:1.0 >second 2>/dev/null
cmp first second
"$CBUILD" copy oci-layout://layout:1.0 oci-archive:one.tar:1.0 >second 2>/dev/null
cmp first second
"$CBUILD" copy oci-archive:one.tar "docker-archive:docker.tar:moved.test/one:1" >second 2>/dev/null
cmp first second
"$CBUILD" copy "docker-archive:docker.tar" "store://moved.test/one:1" >second 2>/dev/null
cmp first second
"$CBUILD" tag moved.test/one:1 moved.test/one:also >/dev/null 2>&1
"$CBUILD" images | grep -q 'moved.test/one:also'
"$CBUILD" tag "$remote/team/one:1" "$REGISTRY/team/one:tagged" >/dev/null 2>&1
test "$(digest "$remote/team/one:tagged")" = "$(cat first)"
for form in oci:layout:1.0 oci-archive:one.tar:1.0 docker-archive:docker.tar "docker://$REGISTRY/other/one:2"; do
  skopeo inspect --tls-verify=false --config "$form" | grep -q '"name": "one"'
done
# An old archive of docker save: no layout in it.
mkdir old
skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/team/one:1" docker-archive:old.tar:old.test/one:1
"$CBUILD" copy docker-archive:old.tar oci-layout://from-old:1 >/dev/null 2>&1
umoci stat --image from-old:1 >/dev/null

# Two platforms.
skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/team/one:1" dir:arm
python3 - arm <<'END'
import hashlib, json, pathlib, sys
arm = pathlib.Path(sys.argv[1])
manifest = json.loads((arm / "manifest.json").read_text())
config = json.loads((arm / manifest["config"]["digest"][7:]).read_text())
config["architecture"] = "arm64"
text = json.dumps(config).encode()
manifest["config"].update(digest="sha256:" + hashlib.sha256(text).hexdigest(), size=len(text))
(arm / hashlib.sha256(text).hexdigest()).write_bytes(text)
(arm / "manifest.json").write_text(json.dumps(manifest))
END
skopeo copy -q --dest-tls-verify=false dir:arm "docker://$REGISTRY/team/arm:1"
"$CBUILD" index create --dry-run "$remote/team/one:1" "$remote/team/arm:1" >dry
"$CBUILD" index create -t "$REGISTRY/both:1" "$remote/team/one:1" "$remote/team/arm:1" >index 2>/dev/null
test "$(cat index)" = "sha256:$(sha256sum dry | cut -d' ' -f1)"
"$CBUILD" inspect --raw "$remote/both:1" | cmp - dry
test "$(skopeo inspect --tls-verify=false --override-arch arm64 "docker://$REGISTRY/both:1" --format '{{.Architecture}}')" = arm64
test "$("$CBUILD" inspect "$remote/both:1" --format '{{range $p, $i := .Image}}{{$p}}={{$i.Config.Labels.name}} {{end}}')" = "linux/amd64=one linux/arm64=one "
"$CBUILD" inspect "$remote/both:1" --platform arm64 >text
grep -q '^Platform:  linux/arm64' text
grep -q 'RUN .*echo' text
grep -q '^Layers:' text
"$CBUILD" copy "$remote/both:1" "$REGISTRY/again/both:1" 2>log >second
cmp index second
"$CBUILD" copy "$remote/both:1" oci-layout://both:1 2>log >second
cmp index second
"$CBUILD" copy --platform linux/arm64 oci-layout://both:1 "$REGISTRY/only/arm:1" 2>/dev/null >second
test "$(digest "$remote/team/arm:1")" = "$(cat second)"
"$CBUILD" index create -t "$REGISTRY/team/one:1" --append --annotation index:org.test=yes \
  --annotation 'manifest-descriptor[linux/arm64]:for=arm' "$remote/team/arm:1" >/dev/null 2>&1
"$CBUILD" inspect --raw "$remote/team/one:1" >appended
grep -q '"org.test": "yes"' appended
test "$(grep -c '"for": "arm"' appended)" = 1

# A signature by the older convention, and an artifact that names the image.
skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$REGISTRY/team/arm:1" \
  "docker://$REGISTRY/both:sha256-$(cut -c8- index).sig"
"$CBUILD" inspect --referrers "$remote/both:1" | grep -q "sha256-$(cut -c8- index).sig"
"$CBUILD" copy --referrers "$remote/both:1" "$REGISTRY/signed/both:1" 2>log >/dev/null
grep -q '1 signatures and attestations' log
digest "$remote/signed/both:sha256-$(cut -c8- index).sig" >/dev/null

# Mistakes.
fails 1 'no image for linux/s390x; its platforms: linux/amd64, linux/arm64' \
  "$CBUILD" copy --platform linux/s390x "$remote/both:1" oci-layout://none:1
fails 1 '404' "$CBUILD" inspect "$remote/team/missing:1"
fails 1 'no image "nothing.test/x"' "$CBUILD" inspect store://nothing.test/x
fails 2 'the scheme is not known' "$CBUILD" copy ftp://x "$REGISTRY/x"
fails 2 'there is no field .Naem' "$CBUILD" inspect "$remote/both:1" --format '{{.Naem}}'
fails 2 'the level is missing' "$CBUILD" index create --dry-run --annotation a=b "$remote/both:1"
fails 2 'no name' "$CBUILD" index create "$remote/both:1"
fails 2 'holds one platform' "$CBUILD" copy "$remote/both:1" docker-archive:both.tar
test ! -e both.tar
# A blob that the registry has lost: nothing is named at the target.
layer=$("$CBUILD" inspect "$remote/other/one:2" --format '{{(index .Manifest.Layers 0).Digest}}')
"$CBUILD" copy "$remote/other/one:2" oci-layout://broken:1 >/dev/null 2>&1
printf x >"broken/blobs/sha256/${layer#sha256:}"
fails 1 'copy to' "$CBUILD" copy oci-layout://broken:1 oci-layout://target:1
fails 1 'index.json is missing' "$CBUILD" inspect oci-layout://target:1
