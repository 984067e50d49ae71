// SPDX-License-Identifier: Apache-2.0
// The metadata lies in the directory of the scans of local directories, which are of the same kind: one file a key,
// with its own digest in front, so that a file damaged by a power loss is not believed. gc takes them by their time of
// last use.
#include "cache/source_metadata.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kMaxMetadata = 1u << 20;

std::string file_name(const Digest& key) { return CanonicalWriter().text("fact").digest(key).hash().hex(); }

}  // namespace

std::optional<std::string> read_source_metadata(Store& store, const Digest& key) {
  const auto file = sys::try_open_at(store.impl().dir(Dir::scans), file_name(key), O_RDONLY);
  if (!file) return std::nullopt;
  const std::string text = sys::read_all(file->get(), kMaxMetadata);
  const std::size_t end = text.find('\n');
  if (end == std::string::npos || text.substr(0, end) != sha256(text.substr(end + 1)).hex()) return std::nullopt;
  (void)::futimens(file->get(), nullptr);  // only gc looks at it
  return text.substr(end + 1);
}

void write_source_metadata(Store& store, const Digest& key, std::string_view text) {
  sys::write_file_at(store.impl().dir(Dir::scans), file_name(key), cat(sha256(text).hex(), '\n', text), 0600);
}

}  // namespace cbuild::cache
