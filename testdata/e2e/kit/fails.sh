# SPDX-License-Identifier: Apache-2.0
# fails EXIT TEXT COMMAND...: the command ends with that code and says the text; its output is in the file `said`.
fails() {
  wanted=$1 text=$2
  shift 2
  code=0
  "$@" >said 2>&1 || code=$?
  test "$code" = "$wanted" || { echo "exit $code instead of $wanted: $*"; cat said; exit 1; }
  grep -q -- "$text" said || { echo "not said: $text"; cat said; exit 1; }
}
