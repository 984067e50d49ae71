// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/process_values.h"
#include "cli/flags/secrets.h"
#include "engine/request/request.h"

/// The values of single flags, checked as far as the line itself and this machine's files can tell: nothing of a build
/// is begun when one is wrong. All throw Error{usage}; those for flags that may be repeated skip empty values where
/// docker does.
namespace cbuild::cli {

/// "K=V", or "K" alone, which takes the value of the environment (and is dropped when it has none) or is empty.
void add_pairs(const std::vector<std::string>& from, const std::string& flag, bool from_environment,
               std::map<std::string, std::string>& to);

/// As docker reads them, plus cache=hash. A file has to be there and to be one.
SecretOption parse_secret(const std::string& text);

/// "default", "ID", "ID=SOCKET" or "ID=KEY[,KEY...]". Named files have to exist; a key must not be encrypted.
engine::SshSource parse_ssh(const std::string& text);

/// "-" for stdin, a directory, or a URL; a directory first, as names of directories may look like anything.
engine::Context to_context(const std::string& text);

/// -f: "-" for stdin, a URL, or a path; empty: not given.
engine::DockerfileSource to_dockerfile(const std::string& text);

/// "NAME=SOFT[:HARD]", the names of setrlimit(2), -1 for no limit.
Ulimit parse_ulimit(const std::string& text);

/// Each platform once, in the order given.
std::vector<oci::Platform> parse_platforms(const std::vector<std::string>& values);

/// --attest, --sbom and --provenance, with the build arguments and the variable that count for them. Throws
/// Error{usage}.
supply::AttestationSettings to_attestations(std::vector<std::string> attests, const std::string& sbom,
                                            const std::string& provenance,
                                            const std::map<std::string, std::string>& build_args);

/// Whether a name of an image is one.
void check_name(const std::string& flag, const std::string& name);

/// The address of a name server.
void check_dns(const std::string& text);

/// A sandbox mode, or "default" and nothing for the best one that works, which is returned as nothing.
std::string parse_isolation(const std::string& text);

}  // namespace cbuild::cli
