// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cbuild::supply {

enum class LockKind { image, url, git };

/// One source of a Dockerfile and its content.
struct LockedSource {
  LockKind kind = LockKind::image;
  std::string name;    ///< the image's complete name; a URL, or REMOTE#REF of a repository, without a user
  std::string digest;  ///< of the index or manifest, or of the file ("sha256:..."); the commit of a repository
  std::string ref;     ///< of a repository: the full name of the ref that led to the commit; may be empty

  bool operator==(const LockedSource&) const = default;
};

/// A lock file (docs/supply-chain.md): the sources of a Dockerfile by name, and the platforms it was made for.
struct LockFile {
  std::vector<std::string> platforms;  ///< empty: none was asked for
  std::vector<LockedSource> sources;   ///< by kind and name, each once

  const LockedSource* find(LockKind kind, std::string_view name) const;
  bool operator==(const LockFile&) const = default;
};

/// `name` is the file's, for messages. Throws Error{input}.
LockFile parse_lock_file(std::string_view json, const std::string& name);
/// The same text for the same sources, in whatever order they are.
std::string to_json(const LockFile& lock);

/// The name of a URL's or a repository's source in lock files; `ref` may be empty.
std::string lock_name(const std::string& url, const std::string& ref = {});

}  // namespace cbuild::supply
