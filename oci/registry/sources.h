// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "oci/registry/client.h"
#include "oci/routes/routes.h"

namespace cbuild::oci::registry {

/// One of the places that are asked for an image.
struct Source {
  routes::Route route;
  bool has_alternative = false;  ///< another one follows
  std::string doing;             ///< "pull of busybox:1 from mirror.example/busybox (hosts.toml)", for messages
};

/// The places of an image, one after the other until one answers: mirrors, then the registry. Thread-safe.
class Sources {
 public:
  /// Both are borrowed.
  Sources(routes::Routes& routes, const Options& options);

  /// Calls `ask` with each place until it does not throw. An Error that another place may not have (network,
  /// not_found, denied, corrupt) leads to the next; the last one's is thrown with the reasons of all. A mirror that
  /// fails is told as a warning, unless it just lacks the image; wrong content always is. One that cannot be reached is
  /// left out for half a minute.
  void ask(const Reference& reference, routes::Asking asking, const std::string& doing,
           const std::function<void(const Source&)>& ask);

 private:
  struct Absence {
    std::int64_t until_ns = 0;
    std::string reason;
  };
  std::optional<std::string> absence(const routes::Route& route);
  void note(const Source& source, const Error& error, const std::string& reason, const routes::Route& next);

  routes::Routes& routes_;
  const Options& options_;
  std::mutex mutex_;  // guards the rest
  std::map<std::string, Absence> absent_;
  std::set<std::string> told_;
};

}  // namespace cbuild::oci::registry
