// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/client_services.h"

#include "base/error.h"

namespace cbuild::api {

void ClientServices::serve(engine::BuildRequest& request) {
  if (!session_) return;
  request.steps.other_secret = [this](const std::string& id) -> std::optional<std::string> {
    if (!session_->offers("/moby.buildkit.secrets.v1.Secrets/GetSecret")) return std::nullopt;
    return session_->secret(id, &cancel_);
  };
  request.steps.other_agent = [this](const std::string& id) { return agent_socket(id); };
  request.sources.account = [this](const std::string& host) { return account(host); };
}

std::optional<std::string> ClientServices::agent_socket(const std::string& id) {
  const std::lock_guard lock(mutex_);
  auto& agent = agents_[id];
  if (!agent) {
    if (!session_->offers("/moby.sshforward.v1.SSH/CheckAgent")) return std::nullopt;
    try {
      session_->check_ssh(id, &cancel_);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      return std::nullopt;  // the client forwards no agent of that name
    }
    agent = session_->forward_ssh(id);
  }
  return agent->socket_path();
}

std::optional<oci::registry::Credentials> ClientServices::account(const std::string& host) {
  if (!session_->offers("/moby.filesync.v1.Auth/Credentials")) return std::nullopt;
  // Docker Hub has another name in docker's files.
  const auto found = session_->credentials(host == "docker.io" ? "registry-1.docker.io" : host, &cancel_);
  if (!found || found->secret.empty()) return std::nullopt;
  if (found->username.empty()) return oci::registry::Credentials{{}, {}, found->secret};
  return oci::registry::Credentials{found->username, found->secret, {}};
}

}  // namespace cbuild::api
