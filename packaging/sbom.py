#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The contents of a package, as an SPDX 2.3 document (JSON) or as the notices of the third parties.

Nothing is listed by hand: the archives on the linker's command line (ninja), the shared objects that the program names
(readelf) and the headers of the libraries that have no others are looked up in dpkg's database, which knows package,
source and version. Libraries that packaging/static-libraries.sh built are in its libraries.tsv.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import uuid

# Licences in SPDX's words, by source package. All others are NOASSERTION.
LICENCES = {
    "boost1.74": "BSL-1.0", "boost1.81": "BSL-1.0", "boost1.83": "BSL-1.0", "bzip2": "bzip2-1.0.6", "ca-certificates": "MPL-2.0",
    "cli11": "BSD-3-Clause", "curl": "curl", "gcc-12": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "gcc-14": "GPL-3.0-or-later WITH GCC-exception-3.1", "glibc": "LGPL-2.1-or-later", "libarchive": "BSD-2-Clause",
    "libdeflate": "MIT", "libisal": "BSD-3-Clause", "libseccomp": "LGPL-2.1-only", "libxcrypt": "LGPL-2.1-or-later",
    "libyaml": "MIT", "libzstd": "BSD-3-Clause",
    "nghttp2": "MIT", "nlohmann-json3": "MIT", "onetbb": "Apache-2.0", "openssl": "Apache-2.0", "re2": "BSD-3-Clause",
    "sqlite3": "blessing", "tomlplusplus": "MIT", "xz-utils": "LicenseRef-xz-public-domain", "zlib": "Zlib",
}
PUBLIC_DOMAIN = {"licenseId": "LicenseRef-xz-public-domain", "name": "XZ Utils public domain",
                 "extractedText": "liblzma is in the public domain."}
HEADERS = ["/usr/include/boost/version.hpp", "/usr/include/nlohmann/json.hpp", "/usr/include/CLI/CLI.hpp",
           "/usr/include/toml++/toml.h"]
PURPOSE = {"deb": "INSTALL", "static": "APPLICATION", "image": "CONTAINER"}


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def owner(path):
    """The package that a file belongs to. Debian's merged /usr knows some files by their old names only."""
    real = os.path.realpath(path)
    for name in dict.fromkeys([str(path), real, real.removeprefix("/usr")]):
        found = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(": ")[0].split(",")[0]
    raise SystemExit(f"sbom: {path} belongs to no package")


def component(package, how, source=None, version=None):
    if source is None:
        source, version = run("dpkg-query", "-W", "-f", "${source:Package} ${source:Version}\n", package).splitlines()[0].split()
    return {"source": source, "version": version, "how": how, "package": package.partition(":")[0]}


def own_libraries(build):
    """The libraries that packaging/static-libraries.sh built: the name of the archive -> source and version."""
    cache = (build / "CMakeCache.txt").read_text()
    place = re.search(r"^CBUILD_STATIC_LIBRARIES:PATH=(.*)$", cache, re.M)
    table = pathlib.Path(place[1]) / "libraries.tsv" if place else None
    rows = [line.split("\t") for line in table.read_text().splitlines()] if table and table.exists() else []
    return {f"lib{name}.a": (source, version) for name, source, version in rows}


def linked(build):
    """Every library that the program is made of, or opens when it starts."""
    command = run("ninja", "-C", str(build), "-t", "commands", "cli/cbuild").splitlines()[-1]
    words = shlex.split(command)
    own, found = own_libraries(build), []
    archives = [w for w in words if w.startswith("/") and w.endswith(".a")]
    is_static = "-static-pie" in words
    for name in ["libstdc++.a"] + (["libgcc_eh.a", "libc.a"] if is_static else []):
        archives.append(run("g++", f"-print-file-name={name}").strip())
    for archive in archives:
        name = os.path.basename(archive)
        if name in own and str(build.parent) in archive:
            found.append(component({"curl": "libcurl4-openssl-dev", "onetbb": "libtbb-dev", "libisal": "libisal-dev",
                                    "sqlite3": "libsqlite3-dev", "openssl": "libssl-dev"}[own[name][0]],
                                   "STATIC_LINK", *own[name]))
        else:
            found.append(component(owner(archive), "STATIC_LINK"))
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", str(build / "cli/cbuild")))
    for name in needed + ([] if is_static else ["libcurl.so.4"]):
        found.append(component(owner(run("g++", f"-print-file-name={name}").strip()), "DYNAMIC_LINK"))
    found += [component(owner(header), "CONTAINS") for header in HEADERS]
    unique = {(c["source"], c["how"]): c for c in found}
    return [unique[key] for key in sorted(unique)]


def spdx_id(*parts):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts))


def package_of(part):
    name = part["source"]
    return {
        "SPDXID": spdx_id(part["how"], name), "name": name, "versionInfo": part["version"], "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": LICENCES.get(name, "NOASSERTION"),
        "copyrightText": "NOASSERTION", "supplier": "Organization: Debian", "comment": f"from Debian's package {part['package']}",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": f"pkg:deb/debian/{name}@{part['version'].replace(':', '%3A').replace('+', '%2B')}?arch=source"}],
    }


def artifact_package(args, digest):
    return {
        "SPDXID": "SPDXRef-artifact", "name": "cbuild", "versionInfo": args.version, "packageFileName": args.artifact.name,
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION", "supplier": "Organization: cbuild", "primaryPackagePurpose": PURPOSE[args.kind],
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
    }


def sbom(args):
    digest = hashlib.sha256(args.artifact.read_bytes()).hexdigest()
    parts = linked(args.build)
    if args.kind == "image":
        parts.append(component("ca-certificates", "CONTAINS"))
    created = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-artifact")]
    relations += [("SPDXRef-artifact", part["how"], spdx_id(part["how"], part["source"])) for part in parts]
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": args.artifact.name,
        "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'sha256:' + digest)}",
        "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: cbuild-sbom-1"]},
        "hasExtractedLicensingInfos": [PUBLIC_DOMAIN],
        "packages": [artifact_package(args, digest)] + [package_of(part) for part in parts],
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in relations],
    }


def notices(args):
    """The copyright files of the packages whose code is in the program."""
    out = ["The program contains code of these projects. Their notices, as Debian's packages have them:"]
    for part in linked(args.build):
        if part["how"] == "DYNAMIC_LINK":
            continue
        text = pathlib.Path(f"/usr/share/doc/{part['package']}/copyright").read_text(errors="replace")
        out.append(f"{'=' * 78}\n{part['source']} {part['version']}\n{'=' * 78}\n{text.rstrip()}")
    return "\n\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=["sbom", "notices"])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="directory of the build that made the program")
    parser.add_argument("--kind", choices=sorted(PURPOSE))
    parser.add_argument("--version")
    parser.add_argument("--artifact", type=pathlib.Path)
    args = parser.parse_args()
    if args.form == "notices":
        print(notices(args))
    else:
        json.dump(sbom(args), sys.stdout, indent=1)
        print()


main()
