#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds as the INPUT_ variables say (action.yml) and gives the digests to the following steps. The inputs come as
# variables, never as text of this script, so that no branch name or title can become a command.
set -euo pipefail

words=(build --progress plain)
# add FLAG VALUE: unless the value is empty. add_lines FLAG TEXT: for each line that is not empty.
add() { if [[ -n $2 ]]; then words+=("$1=$2"); fi; }
add_lines() {
  local line
  while IFS= read -r line; do
    line=${line%$'\r'}
    line=${line#"${line%%[! ]*}"}
    add "$1" "$line"
  done <<< "$2"
}

add --file "${INPUT_FILE:-}"
add --target "${INPUT_TARGET:-}"
add --platform "${INPUT_PLATFORM:-}"
add_lines --tag "${INPUT_TAGS:-}"
add_lines --label "${INPUT_LABELS:-}"
add_lines --build-arg "${INPUT_BUILD_ARGS:-}"
add_lines --secret "${INPUT_SECRETS:-}"
add_lines --output "${INPUT_OUTPUTS:-}"
add_lines --cache-from "${INPUT_CACHE_FROM:-}"
add_lines --cache-to "${INPUT_CACHE_TO:-}"
if [[ ${INPUT_PUSH:-false} == true ]]; then words+=(--push); fi
while IFS= read -r line; do
  if [[ -n $line ]]; then words+=("$line"); fi
done <<< "${INPUT_FLAGS:-}"

result=$(mktemp -d "${RUNNER_TEMP:-/tmp}/cbuild.XXXXXX")
trap 'rm -rf "$result"' EXIT
words+=("--metadata-file=$result/metadata.json" "--iidfile=$result/image-id" -- "${INPUT_CONTEXT:-.}")

program=("$(command -v cbuild)")
if [[ ${INPUT_AS_ROOT:-true} == true && $(id -u) != 0 ]]; then program=(sudo --preserve-env "${program[@]}"); fi
"${program[@]}" "${words[@]}"

digest=$(sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' "$result/metadata.json" | head -n 1)
{
  echo "digest=$digest"
  echo "image-id=$(head -n 1 "$result/image-id" 2>/dev/null || true)"
  end=end-$RANDOM$RANDOM$RANDOM
  echo "metadata<<$end"
  cat "$result/metadata.json"
  echo
  echo "$end"
} >> "$GITHUB_OUTPUT"
