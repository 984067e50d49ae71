// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/http/limits.h"
#include "base/progress.h"
#include "cache/store.h"

namespace cbuild::solver::ops {

/// The parts of a build that all kinds of remote sources need.
struct SourceAccess {
  cache::Store& store;
  ProgressSink* progress = nullptr;
  const CancelSource* cancel = nullptr;
  std::function<TaskId()> next_task;  ///< ids of tasks for the progress output; needed with `progress`
  /// The value of a secret the user offered; nullopt if there is none of that id.
  std::function<std::optional<std::string>(const std::string& id)> secret;
  std::function<std::string()> ssh_agent = {};  ///< the socket of the agent "default"; empty: none
  http::TransferLimits limits = {};
};

/// One unit of work in the progress output, from construction to the end of the scope.
class SourceTask {
 public:
  SourceTask(const SourceAccess& access, const std::string& name);
  SourceTask(const SourceTask&) = delete;
  SourceTask& operator=(const SourceTask&) = delete;
  /// Failed, unless done() was called.
  ~SourceTask();

  void count(std::uint64_t bytes, std::uint64_t total);
  void done(bool cached);

 private:
  const SourceAccess& access_;
  const TaskId id_;
  bool ended_ = false;
};

/// A remote as messages may show it: no user, no password, no query values.
std::string shown_url(std::string_view url);

/// "user:password" of a URL as it stands there; empty if it has none.
std::string user_info(std::string_view url);
/// The value of an Authorization header for the user in a URL, percent-decoded (RFC 3986, 3.2.1; RFC 7617); empty if
/// there is none.
std::string basic_authorization(std::string_view url);
/// "host" of a URL or of git's "user@host:path", without port; with it if `port`.
std::string host_of(std::string_view url, bool port);

}  // namespace cbuild::solver::ops
