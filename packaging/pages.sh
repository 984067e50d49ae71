#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pages.sh CBUILD DIRECTORY: the manual pages and completions of a cbuild, in DIRECTORY/man and DIRECTORY/completions.
# The program prints them itself, from the declaration of its flags.
set -euo pipefail
cbuild=$1 out=$2
rm -rf "$out/man" "$out/completions"
mkdir -p "$out/man/man1" "$out/completions"
"$cbuild" build --help-as=man > "$out/man/man1/cbuild.1"
"$cbuild" help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' > "$out/commands"
while read -r command; do
  if [[ $command == build ]]; then
    echo ".so man1/cbuild.1" > "$out/man/man1/cbuild-build.1"
  else
    "$cbuild" "$command" --help-as=man > "$out/man/man1/cbuild-$command.1"
  fi
done < "$out/commands"
for shell in bash zsh fish; do "$cbuild" completion "$shell" > "$out/completions/cbuild.$shell"; done
