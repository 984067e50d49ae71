// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/digest.h"
#include "solver/graph/op.h"
#include "solver/sources/source_access.h"

namespace cbuild::solver::ops {

/// The present content of a URL.
struct UrlContent {
  Digest content;
  std::optional<std::int64_t> last_modified_s;

  bool operator==(const UrlContent&) const = default;
};

/// Files by URL. Their content lies in the store's blobs; the server's validators of it are remembered, so that an
/// unchanged file is asked about (conditional GET, RFC 9110, 13) but not moved again. Thread-safe.
class UrlSources {
 public:
  explicit UrlSources(SourceAccess access, std::uint64_t max_bytes = 64ull << 30);
  ~UrlSources();

  /// The current content. Asked once per build. Where the URL is known to have given `expected` there is no request at
  /// all. Throws as http::Downloader::get() does, and Error{input} for text that is not an http URL.
  UrlContent pin(const std::string& url, const Digest& expected);
  /// Brings `content` into the store's blobs, if it is not there. Throws Error{corrupt} when the URL gives something
  /// else now.
  void fetch(const std::string& url, const Digest& content);
  /// Newest modification time of the regular files in an archive; nullopt for no archive, or one without any. `url` is
  /// where the content is fetched from.
  std::optional<std::int64_t> newest_file(const std::string& url, const Digest& content);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The tree of an HttpSource, in `tree_fd`: one file (0600, root), or the entries of the archive. The content is in the
/// store.
void make_url_tree(cache::Store& store, const HttpSource& source, const cache::Staging& staging,
                   const CancelSource* cancel);

}  // namespace cbuild::solver::ops
