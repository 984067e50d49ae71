// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/blob_writer.h"
#include "base/cancel.h"
#include "base/digest.h"
#include "base/http/limits.h"

namespace cbuild::cache {

/// How a store is reached, for all of its requests.
struct ObjectOptions {
  unsigned max_attempts = 5;
  std::chrono::milliseconds retry_delay{1000};
  http::TransferLimits limits;
  unsigned parallel = 4;  ///< requests at once
  const CancelSource* cancel = nullptr;
  std::function<void(const std::string&)> warn;
  std::function<std::int64_t()> now_s;  ///< seconds since 1970; unset: the machine's clock
};

/// Objects by name. Thread-safe. Throws Error{denied} for accounts that the store refuses, {not_found} for a store that
/// is missing, {corrupt} for content that has another digest, {network} else.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  struct Object {
    std::string content;
    std::string version;  ///< for put_if(); empty if the store gives none
  };
  struct Status {
    std::uint64_t size = 0;
    std::optional<std::int64_t> modified_s;  ///< seconds since 1970
  };
  struct Content {
    int file;  ///< borrowed
    std::uint64_t size;
    Digest digest;
  };

  struct Listed {
    std::string name;
    std::uint64_t size = 0;
    std::int64_t modified_s = 0;

    bool operator==(const Listed&) const = default;
  };

  /// The whole of an object of at most `limit` bytes; nullopt if it is missing.
  virtual std::optional<Object> get(const std::string& name, std::size_t limit) = 0;
  virtual std::optional<Status> status(const std::string& name) = 0;
  /// Streams an object into a writer, resumed after a broken transfer. Error{not_found} if it is missing.
  virtual void fetch(const std::string& name, const std::function<std::unique_ptr<BlobWriter>()>& make,
                     const std::function<void(std::uint64_t bytes, std::uint64_t total)>& progress) = 0;
  virtual void put(const std::string& name, const Content& content) = 0;
  /// Writes a small object if its version is still `version` (empty: if it is missing still). False if it is not.
  virtual bool put_if(const std::string& name, const std::string& content, const std::string& version) = 0;
  /// Makes an object as new as if it had been written now, against rules that remove old ones.
  virtual void touch(const std::string& name, std::uint64_t size) = 0;
  /// The objects whose names begin with `prefix`; nullopt for a store that does not list them.
  virtual std::optional<std::vector<Listed>> list(const std::string& /*prefix*/) { return std::nullopt; }
  /// Removes an object that was listed, unless it was written or renewed since.
  virtual void remove_unchanged(const Listed& /*object*/) {}
};

}  // namespace cbuild::cache
