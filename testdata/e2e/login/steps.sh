# SPDX-License-Identifier: Apache-2.0
# Logins at a registry with one account: checked first, written as docker writes them, used by builds and by skopeo.
set -eu
export HOME="$WORK/home"
config="$HOME/.docker/config.json"
. "$KIT/fails.sh"
refused() { # as fails, and no password is printed
  fails "$@"
  if grep -q 'wrong-pass\|right-pass' said; then echo "a password was printed"; exit 1; fi
}
login() { "$CBUILD" login -u user --password-stdin "$REGISTRY"; }

refused 3 "hint: cbuild login $REGISTRY" "$CBUILD" --progress plain -t "$REGISTRY/app:1" --push .
printf wrong-pass >wrong
printf 'right-pass\n' >right
refused 1 "401" "$CBUILD" login -u user --password-stdin "$REGISTRY" <wrong
test ! -e "$config"
refused 2 "stdin is not a terminal" "$CBUILD" login -u user "$REGISTRY" </dev/null
refused 2 "needs a user name" "$CBUILD" login --password-stdin "$REGISTRY" <right
refused 2 "stdin is empty" "$CBUILD" login -u user --password-stdin "$REGISTRY" </dev/null

login <right >out 2>err
grep -q 'Login Succeeded' out
grep -q "not encrypted" err
test "$(stat -c %a "$config")" = 600
"$CBUILD" login "$REGISTRY" </dev/null | grep -q 'Login Succeeded' # the account that is there
"$CBUILD" --progress plain -t "$REGISTRY/app:1" --push . 2>/dev/null
skopeo inspect --tls-verify=false --authfile "$config" "docker://$REGISTRY/app:1" | grep -q Digest
printf '%s' "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["auths"][sys.argv[2]]["auth"])' "$config" "$REGISTRY")" |
  base64 -d | grep -qx 'user:right-pass'

"$CBUILD" logout "http://$REGISTRY/v2/" | grep -q "Removing login credentials for $REGISTRY"
"$CBUILD" logout "$REGISTRY" | grep -q "Not logged in to $REGISTRY"
refused 1 "401" "$CBUILD" inspect "docker://$REGISTRY/app:1"

# A file of its own, and a helper that keeps the accounts of this registry.
"$CBUILD" login -u user --password-stdin --authfile own.json "$REGISTRY" <right >/dev/null 2>&1
"$CBUILD" inspect --authfile own.json "docker://$REGISTRY/app:1" >/dev/null
mkdir -p bin
cat >bin/docker-credential-keep <<'END'
#!/bin/sh
case $1 in
  store) cat >"$HOME/kept" ;;
  get) cat >/dev/null; test -e "$HOME/kept" || { echo credentials not found in native keychain; exit 1; }; cat "$HOME/kept" ;;
  erase) cat >/dev/null; rm "$HOME/kept" ;;
esac
END
chmod 755 bin/docker-credential-keep
export PATH="$PWD/bin:$PATH"
printf '{"credHelpers":{"%s":"keep"},"psFormat":"x"}' "$REGISTRY" >"$config"
login <right >/dev/null
if grep -q auth\" "$config"; then echo "the password is in the file"; exit 1; fi
grep -q psFormat "$config"
"$CBUILD" inspect "docker://$REGISTRY/app:1" >/dev/null
"$CBUILD" logout "$REGISTRY" >/dev/null
test ! -e "$HOME/kept"
