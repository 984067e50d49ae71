// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/daemon/builds.h"
#include "api/session/client_session.h"
#include "base/cancel.h"
#include "base/files.h"
#include "engine/request/request.h"

namespace cbuild::api {

/// The remote caches of one build. Those of type=local are directories of the client: they are fetched into the store
/// before the build, and sent from there after it.
class ClientCaches {
 public:
  ClientCaches(std::shared_ptr<ClientSession> session, std::string store, const CancelSource& cancel)
      : session_(std::move(session)), store_(std::move(store)), cancel_(cancel) {}

  /// Adds the caches that the client's call and its frontend's attribute "cache-imports" name. Throws Error.
  void describe(const moby::buildkit::v1::CacheOptions& options, const std::string& frontend_imports,
                engine::CacheSettings& caches);
  /// Sends what was exported for the client, after the build. Throws Error.
  void finish();

 private:
  using Values = std::map<std::string, std::string>;
  void add_import(const std::string& type, Values values, engine::CacheSettings& caches);
  void add_export(const std::string& type, Values values, engine::CacheSettings& caches);
  std::string new_directory();

  const std::shared_ptr<ClientSession> session_;
  const std::string store_;
  const CancelSource& cancel_;
  std::vector<TempDir> directories_;
  std::map<std::string, std::string> exports_;  ///< by path here: the client's directory
};

}  // namespace cbuild::api
