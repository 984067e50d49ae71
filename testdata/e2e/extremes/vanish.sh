#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a context whose files come and go meanwhile: each build works or says which name it missed, and none crashes.
set -u
mkdir -p moving && printf 'FROM base\nCOPY moving /moving\n' >moving.Dockerfile
touch running
while [[ -e running ]]; do
  for i in 1 2 3 4 5 6 7 8; do mkdir -p moving/d$i; echo $i >moving/d$i/f; echo $i >moving/f$i; done
  rm -rf moving/*
done &
writer=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  "$CBUILD" --progress plain --build-context base=oci-layout://"$BASES"/busybox -f moving.Dockerfile . 2>moving.log
  code=$?
  if [[ $code != 0 ]] && ! { [[ $code == 1 ]] && grep -Eiq '^ERROR: .*(not found|no such file|changed|vanished)' moving.log; }; then
    echo "build $i: exit code $code"; cat moving.log
  fi
done
rm running
wait $writer
echo "moving done"
