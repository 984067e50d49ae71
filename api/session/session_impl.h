// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/session/client_call.h"
#include "api/session/client_session.h"
#include "api/session/health_watch.h"

namespace cbuild::api {

struct ClientSession::Impl {
  SessionChannel channel;
  HealthWatch health;

  Impl(SessionHeader header, SessionStream stream, const SessionSettings& settings)
      : channel(std::move(header), std::move(stream), settings), health(channel) {}
};

/// The words that a client's method has in errors and in its header.
namespace method {
inline constexpr char kSync[] = "/moby.filesync.v1.FileSync/DiffCopy";
inline constexpr char kSend[] = "/moby.filesync.v1.FileSend/DiffCopy";
inline constexpr char kCredentials[] = "/moby.filesync.v1.Auth/Credentials";
inline constexpr char kFetchToken[] = "/moby.filesync.v1.Auth/FetchToken";
inline constexpr char kTokenAuthority[] = "/moby.filesync.v1.Auth/GetTokenAuthority";
inline constexpr char kSecret[] = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
inline constexpr char kCheckAgent[] = "/moby.sshforward.v1.SSH/CheckAgent";
inline constexpr char kForwardAgent[] = "/moby.sshforward.v1.SSH/ForwardAgent";
inline constexpr char kPull[] = "/moby.upload.v1.Upload/Pull";
inline constexpr char kHealth[] = "/grpc.health.v1.Health/Check";
inline constexpr char kContent[] = "/containerd.services.content.v1.Content/Info";
}  // namespace method

}  // namespace cbuild::api
