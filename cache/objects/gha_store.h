// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/http/url.h"
#include "cache/objects/object_store.h"

namespace cbuild::cache {

/// The cache service of GitHub Actions, version 2.
struct GhaPlace {
  http::Url service;  ///< ACTIONS_RESULTS_URL
  std::string token;  ///< ACTIONS_RUNTIME_TOKEN
  /// With both, the entries are listed once by GitHub's REST API instead of being asked for one by one.
  std::string repository, github_token;
  http::Url api;
  std::uint64_t part_bytes = 32u << 20;  ///< larger entries are uploaded in blocks
};

/// What the names of blobs begin with.
inline constexpr char kGhaBlobPrefix[] = "cbuild-blob-1-";

/// Entries are never changed: what put_if() writes under NAME are entries NAME#1, NAME#2, ..., of which the newest
/// counts. An entry that the service has removed (by age, or over 10 GB) is missing. put() leaves alone an entry that
/// is there or that another job writes at the moment.
std::unique_ptr<ObjectStore> open_gha(GhaPlace place, const ObjectOptions& options);

}  // namespace cbuild::cache
