// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/daemon/looked_into.h"
#include "api/daemon/status_log.h"
#include "api/proto/control.pb.h"
#include "api/proto/gateway.pb.h"
#include "base/cancel.h"

namespace cbuild::api {

/// One call of Control.Solve, and what the client asks about it with the service LLBBridge. Thread-safe.
class Build {
 public:
  explicit Build(moby::buildkit::v1::SolveRequest request) : request_(std::move(request)) {}

  const std::string& ref() const { return request_.ref(); }
  const moby::buildkit::v1::SolveRequest& request() const { return request_; }
  StatusLog& status() { return status_; }
  CancelSource& cancel() { return cancel_; }

  using Asked = std::shared_ptr<const moby::buildkit::v1::frontend::SolveRequest>;
  /// Remembers what a client wants solved; the id by which it is called from now
  /// on: the ref of the build and a slash come first.
  std::string add_result(moby::buildkit::v1::frontend::SolveRequest asked);
  /// Null for an id that add_result() has not given.
  Asked result(const std::string& id);

  /// The files of a result, which `make` writes into a directory the first time. Errors of `make` are thrown.
  ResultTree tree(const std::string& id, const std::string& store,
                  const std::function<void(const std::string& path)>& make);

  /// The client's own word on the result of the build. Only the first counts.
  void give_back(moby::buildkit::v1::frontend::ReturnRequest returned);
  /// Waits for give_back(). Throws Error{cancelled} when `gone` says so.
  moby::buildkit::v1::frontend::ReturnRequest wait_returned(const std::function<bool()>& gone);

 private:
  const moby::buildkit::v1::SolveRequest request_;
  StatusLog status_;
  CancelSource cancel_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::map<std::string, Asked> results_;
  std::map<std::string, ResultTree> trees_;
  std::optional<moby::buildkit::v1::frontend::ReturnRequest> returned_;
};

/// The builds under way by their refs, and the last ones that ended, whose progress may be asked for late. Thread-safe.
class Builds {
 public:
  /// Throws Error{usage} where there is one of that ref.
  std::shared_ptr<Build> begin(moby::buildkit::v1::SolveRequest request);
  void end(const std::shared_ptr<Build>& build);
  /// Waits for a build, as calls of one client come in any order. Throws Error{not_found} after some seconds, or
  /// Error{cancelled} when `gone` says so.
  std::shared_ptr<Build> wait(const std::string& ref, const std::function<bool()>& gone);
  bool idle();
  /// Refs of those that run and are not a client's own questions.
  std::vector<std::string> running();
  /// Ends all builds that run.
  void cancel_all();

 private:
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Build>> running_;
  std::deque<std::shared_ptr<Build>> ended_;
};

}  // namespace cbuild::api
