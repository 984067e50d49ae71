// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/cancel.h"

namespace cbuild::cli {

using DapJson = nlohmann::ordered_json;

/// Messages of the debug adapter protocol on two descriptors, both borrowed: JSON behind a Content-Length.
/// Receiving is for one thread, sending is thread-safe.
class DapChannel {
 public:
  DapChannel(int in, int out) : in_(in), out_(out) {}

  /// The next message; nullopt at the end, after an error, and for what is not of the protocol.
  std::optional<DapJson> receive();
  /// Lets receive() end, from any thread.
  void stop_receiving() { stop_.cancel(); }
  void send_event(const std::string& event, DapJson body);
  /// Answers `request`.
  void respond(const DapJson& request, DapJson body);
  void respond(const DapJson& request);
  void refuse(const DapJson& request, const std::string& message);

 private:
  std::optional<std::string> read_header();
  bool read_more();
  void send(DapJson message);

  const int in_, out_;
  CancelSource stop_;
  std::string buffer_;
  std::mutex mutex_;  // guards the sending side
  int sequence_ = 0;
};

}  // namespace cbuild::cli
