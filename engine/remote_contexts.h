// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cache/store.h"
#include "engine/request/network_sources.h"
#include "solver/graph/op.h"
#include "solver/ops/executor.h"

namespace cbuild::engine {

/// Build contexts that are not directories of this machine: repositories, files and archives by URL, an archive from a
/// stream. Each is a source op, pinned to its content, so that a build on an unchanged one is a lookup.
class RemoteContexts {
 public:
  /// `fetch` makes the tree of a source and returns its chain, all layers on disk.
  using Fetch = std::function<Digest(const solver::Op& source)>;
  RemoteContexts(cache::Store& store, NetworkSources& sources, Fetch fetch)
      : store_(store), sources_(sources), fetch_(std::move(fetch)) {}

  static bool is_url(const std::string& text);
  /// Whether `text` names a repository or a URL.
  static bool is_remote(const std::string& text);

  /// The context a URL names: a repository; an archive, unpacked; or one file called "context", which is the
  /// Dockerfile. Throws Error.
  solver::Op by_url(const std::string& url, bool keep_git_dir);
  /// The content of a descriptor, read to its end: an archive becomes a context; anything else is `text`, at most
  /// `limit` bytes.
  std::optional<solver::Op> from_stream(int fd, std::string& text, std::size_t limit);

  /// A file of a context, links followed inside of it; nullopt if there is none. Throws Error{input} over the limit.
  std::optional<std::string> read(const solver::Op& context, const std::string& path, std::size_t limit);
  /// The content of a URL, as text.
  std::string read_url(const std::string& url, std::size_t limit);

 private:
  cache::Store& store_;
  NetworkSources& sources_;
  Fetch fetch_;
};

/// Makes the tree of a source before there is a graph that reads it; the chain, with all layers on disk. Throws Error.
Digest fetch_source(solver::ops::BuildServices services, const solver::Op& source);

/// Whether a context by URL is one file that is the Dockerfile.
bool is_dockerfile_only(const solver::Op& context);

}  // namespace cbuild::engine
