// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/proto/files.pb.h"
#include "base/files.h"

namespace cbuild::api {

/// The files of a result, in a directory that goes with the last copy of the object. Paths are those of its root; links
/// are followed inside of it. Thread-safe. All throw Error{not_found} and others.
class ResultTree {
 public:
  /// An empty directory below that of the store.
  explicit ResultTree(const std::string& store);
  std::string path() const { return directory_->path(); }

  /// `length` bytes from `offset` on; 0: all that follow, 16 MiB at most.
  std::string read(const std::string& path, std::int64_t offset, std::int64_t length) const;
  /// The entries of a directory whose names match `pattern` (Go's filepath.Match); empty: all.
  std::vector<fsutil::types::Stat> list(const std::string& path, const std::string& pattern) const;
  fsutil::types::Stat stat(const std::string& path) const;

 private:
  std::shared_ptr<TempDir> directory_;
};

}  // namespace cbuild::api
