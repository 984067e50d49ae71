// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cache/content/tree.h"
#include "exporter/attestation.h"

namespace cbuild::exporter {

/// How such files are called.
struct AttestationNames {
  std::string prefix;
  std::string platform;  ///< before the extension, where files of several platforms are in one directory
};

/// The attestations of an output that is files, as files next to them: name and content. Each is about all regular
/// files of `view`, whose trees are there, by name and digest. Throws Error.
std::vector<std::pair<std::string, std::string>> attestation_files(const cache::TreeView& view,
                                                                   const std::vector<Attestation>& attestations,
                                                                   const AttestationNames& names);

}  // namespace cbuild::exporter
