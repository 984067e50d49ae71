// SPDX-License-Identifier: Apache-2.0
#include "exporter/attestation_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "supply/statement.h"

namespace cbuild::exporter {
namespace {

void add_files(const cache::TreeView& view, const std::string& directory, std::vector<supply::Subject>& out) {
  for (const cache::TreeView::Entry& entry : view.list(directory)) {
    const std::string path = child_path(directory, entry.name);
    if (S_ISDIR(entry.st.st_mode)) add_files(view, path, out);
    if (!S_ISREG(entry.st.st_mode)) continue;
    const std::optional<Digest> known = view.content(path);
    const Digest digest = known ? *known : sha256_fd(view.open(path, O_RDONLY).get());
    out.push_back({path, {{"sha256", digest.hex()}}});
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> attestation_files(const cache::TreeView& view,
                                                                   const std::vector<Attestation>& attestations,
                                                                   const AttestationNames& names) {
  std::vector<std::pair<std::string, std::string>> out;
  if (attestations.empty()) return out;
  std::vector<supply::Subject> subjects;
  add_files(view, "", subjects);
  std::set<std::string> used;
  for (const Attestation& one : attestations) {
    std::string name = names.prefix + one.file_name;
    if (!names.platform.empty()) name.insert(std::min(name.rfind('.'), name.size()), cat(".", names.platform));
    if (!used.insert(name).second)
      throw Error(ErrorCode::usage, cat("--attest: two attestations of the file name ", name));
    out.emplace_back(std::move(name),
                     supply::to_statement(one.predicate_type, one.subjects.empty() ? subjects : one.subjects,
                                          one.predicate(), true));
  }
  return out;
}

}  // namespace cbuild::exporter
