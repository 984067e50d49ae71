// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "api/session/client_session.h"
#include "api/session/tunnel.h"
#include "base/cancel.h"
#include "base/fd.h"

/// For the .cc files of this module only: it names gRPC's types.
namespace cbuild::api {

/// What all calls of a session use.
struct SessionChannel {
  SessionHeader header;
  SessionSettings settings;
  std::set<std::string> methods;  ///< in lower case
  Tunnel tunnel;
  std::shared_ptr<grpc::Channel> channel;

  SessionChannel(SessionHeader header, SessionStream stream, const SessionSettings& settings);

  bool offers(std::string_view method) const;
  /// Throws Error{unsupported} unless it offers the method.
  void require(std::string_view method, std::string_view subject) const;
};

/// One call: its context, which a cancelled build ends, and its errors. To be alive until the call is finished.
class ClientCall {
 public:
  /// `subject` is what is asked for and begins the text of errors. `timeout` zero: none.
  ClientCall(const SessionChannel& session, std::string subject, const CancelSource* cancel,
             std::chrono::milliseconds timeout = {});
  ~ClientCall();
  ClientCall(const ClientCall&) = delete;
  ClientCall& operator=(const ClientCall&) = delete;

  grpc::ClientContext* context() { return &context_; }
  const std::string& subject() const { return subject_; }
  /// Throws Error{usage} for a value that cannot be one of a header.
  void add_metadata(const std::string& key, const std::string& value);
  /// Throws the Error for a status that is not OK.
  void check(const grpc::Status& status) const;

 private:
  void watch();

  const SessionChannel& session_;
  std::string subject_;
  const CancelSource* cancel_;
  grpc::ClientContext context_;
  UniqueFd over_;  ///< an eventfd
  std::jthread watch_;
};

}  // namespace cbuild::api
