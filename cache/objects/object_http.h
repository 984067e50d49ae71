// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/download.h"
#include "base/http/http.h"
#include "base/http/retry.h"
#include "base/http/secrets.h"
#include "cache/objects/object_store.h"

namespace cbuild::cache {

/// Exchanges with an object store: repeated where that helps, at most `parallel` at once. A request is made again for
/// each attempt, as signatures hold the time. Thread-safe.
class ObjectHttp {
 public:
  /// `shown`: the store, for messages ("s3://bucket").
  ObjectHttp(std::string shown, const ObjectOptions& options);

  using MakeRequest = std::function<http::Request()>;
  /// The answer: a success, a status of `expected`, or Error.
  http::Response exchange(const std::string& doing, const MakeRequest& make, std::initializer_list<int> expected = {});
  /// Streams what a URL gives that needs no header.
  void download(const http::Url& url, const std::function<std::unique_ptr<BlobWriter>()>& make,
                const std::function<void(std::uint64_t, std::uint64_t)>& progress);
  /// Waits. Throws Error{cancelled}.
  void pause(std::chrono::milliseconds time) const { retry_.pause(time); }
  [[noreturn]] void fail(const std::string& doing, const http::Response& response);
  /// Once, in the warnings.
  void warn_once(const std::string& text);

  std::int64_t now_s() const;
  http::Secrets& secrets() { return secrets_; }
  const ObjectOptions& options() const { return options_; }

 private:
  const std::string shown_;
  const ObjectOptions options_;
  http::Pool pool_;
  http::RetryPolicy retry_;
  http::Secrets secrets_;
  http::Downloader downloader_;
  std::mutex mutex_;  // guards warned_
  bool warned_ = false;
};

/// The elements of a listing that give an object's name, which comes first, size and time.
struct ListingNames {
  std::string_view name, size, time;
  std::optional<std::int64_t> (*parse_time)(std::string_view text);
};
/// Appends the objects of one page of a listing (XML). Entries without a time are left out. Throws Error{corrupt}.
void read_listing(std::string_view page, const ListingNames& names, std::vector<ObjectStore::Listed>& out);

/// What the headers of a response to HEAD say of an object.
ObjectStore::Status status_of(const http::Response& response);

}  // namespace cbuild::cache
