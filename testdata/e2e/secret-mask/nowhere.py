# SPDX-License-Identifier: Apache-2.0
"""nowhere.py FILE... -- TREE...: fails if the whole value of one of the files, a line of it or its base64 lies anywhere below the trees,
also in what is compressed; prints how many files were looked at."""
import base64
import gzip
import pathlib
import sys
import tarfile
import io

split = sys.argv.index("--")
needles = set()
for name in sys.argv[1:split]:
    value = pathlib.Path(name).read_bytes().strip()
    needles |= {line for line in value.split(b"\n") if len(line) >= 8} | {value, base64.b64encode(value)[:40]}

looked = 0


def look(where, data):
    global looked
    looked += 1
    for needle in needles:
        if needle in data:
            sys.exit(f"{where} has {needle!r}")
    if data[:2] == b"\x1f\x8b":
        look(where + " (gunzipped)", gzip.decompress(data))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                if member.isreg():
                    look(f"{where}:{member.name}", tar.extractfile(member).read())


for top in sys.argv[split + 1:]:
    path = pathlib.Path(top)
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and not p.is_symlink()]
    for file in files:
        look(str(file), file.read_bytes())
print("looked at", looked, "files")
