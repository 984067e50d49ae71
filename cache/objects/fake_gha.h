// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/http/fake_server.h"

/// For tests.
namespace cbuild::cache {

/// The cache service of GitHub Actions with the storage behind its signed URLs. Knows one repository; scopes are not
/// told apart.
struct FakeGha {
  struct Entry {
    std::string key, version, content;
    bool finished = false;
  };
  std::vector<Entry> entries;  ///< by age
  std::map<std::string, std::string> blocks;
  bool is_listed = false;  ///< the REST API answers
  http::FakeServer server{[this](const http::FakeRequest& request) { return answer(request); }};

  /// A token for two scopes, of which the first may be written; without a signature.
  static std::string token(std::int64_t expires_s = 4'000'000'000);

  http::FakeResponse answer(const http::FakeRequest& r);

 private:
  std::string url_of(std::size_t place) const;
  http::FakeResponse blob(const http::FakeRequest& r);
  http::FakeResponse list(const http::FakeRequest& r) const;
};

}  // namespace cbuild::cache
