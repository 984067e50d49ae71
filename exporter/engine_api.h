// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/cancel.h"
#include "exporter/engine_address.h"

namespace cbuild::exporter {

/// An engine with docker's API: Docker, or Podman's service. Not thread-safe.
class EngineApi {
 public:
  /// `cancel` may be null and is borrowed. Throws Error{usage} for a URL of another kind.
  EngineApi(const EngineAddress& address, const CancelSource* cancel);
  ~EngineApi();

  /// The answer to a GET. Throws Error{network} that names the engine, {not_found} for 404.
  nlohmann::json get(const std::string& path);
  /// POST /images/load of what comes from `archive` until its end. Throws Error{network} with the engine's words.
  void load(int archive);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cbuild::exporter
