# Builds from the registry with the sha512 image, twice; the blobs have to come once, and again when the store lost one.
mkfifo hold
python3 serve.py sha512 port requests < hold &
exec 3> hold
trap 'exec 3>&-; wait' EXIT
for _ in $(seq 600); do test -e port && break; sleep 0.05; done
base=127.0.0.1:$(cat port)/base
export CBUILD_ROOT=$WORK/other-store
"$CBUILD" --build-context base=docker-image://$base -o type=oci,dest=r.tar . 2> first
layers=$(grep -c /blobs/ requests)
"$CBUILD" --build-context base=docker-image://$base -o type=oci,dest=r.tar --pull . 2> second
test "$(grep -c /blobs/ requests)" = "$layers"
"$CBUILD" --build-context base=docker-image://$base@$(cat name) -o type=cacheonly . 2> third
! grep -q 'sha256:' requests
rm "$CBUILD_ROOT"/blobs/sha256/*
"$CBUILD" --build-context base=docker-image://$base -o type=oci,dest=again.tar . 2> fourth
! grep -q 'sha256:' requests
skopeo inspect --raw oci-archive:again.tar | grep -q sha256:
