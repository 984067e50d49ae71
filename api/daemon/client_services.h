// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/session/client_session.h"
#include "base/cancel.h"
#include "engine/request/request.h"

namespace cbuild::api {

/// The secrets, ssh agents and accounts of a client for one build: each is asked for when something needs it.
class ClientServices {
 public:
  /// `session` may be null: the client has none of them. `cancel` must outlive it.
  ClientServices(std::shared_ptr<ClientSession> session, const CancelSource& cancel)
      : session_(std::move(session)), cancel_(cancel) {}

  /// Sets the callbacks of `request`, which this must outlive.
  void serve(engine::BuildRequest& request);

 private:
  std::optional<std::string> agent_socket(const std::string& id);
  std::optional<oci::registry::Credentials> account(const std::string& host);

  const std::shared_ptr<ClientSession> session_;
  const CancelSource& cancel_;
  std::mutex mutex_;  // guards agents_
  std::map<std::string, std::unique_ptr<SshForward>> agents_;
};

}  // namespace cbuild::api
