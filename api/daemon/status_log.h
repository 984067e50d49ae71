// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/progress.h"

namespace moby::buildkit::v1 {
class StatusResponse;
class Vertex;
}  // namespace moby::buildkit::v1

namespace cbuild::api {

/// The progress of one build as messages of Control.Status, which any number of clients read from the beginning.
/// Thread-safe.
class StatusLog final : public ProgressSink {
 public:
  using Message = std::shared_ptr<const moby::buildkit::v1::StatusResponse>;

  StatusLog();
  ~StatusLog() override;

  void on_event(const ProgressEvent& event) override;
  /// Nothing follows. What has begun and not ended is told as ended: clients show the others as failed.
  void close();

  /// The messages from number `from` on; waits for one, for `patience` at most. `ended`: the log is closed and these
  /// are the last ones.
  std::vector<Message> read(std::size_t from, std::chrono::milliseconds patience, bool& ended);

 private:
  struct Task;
  using Response = moby::buildkit::v1::StatusResponse;
  void handle(const TaskAdded& event, Response& out);
  void handle(const TaskStarted& event, Response& out);
  void handle(const TaskFinished& event, Response& out);
  void handle(const TaskLog& event, Response& out);
  void handle(const TaskCounter& event, Response& out);
  void handle(const TaskUse& event, Response& out);
  void handle(const RunNote& event, Response& out);
  void handle(const RunDiagnostic& event, Response& out);
  void tell_source(const SourceText& source, const std::string& error, Response& out);

  const std::int64_t clock_offset_ns_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::map<TaskId, std::unique_ptr<Task>> tasks_;
  std::map<std::string, unsigned> names_;  ///< how many vertexes have a name
  std::set<std::string> told_;             ///< digests of vertexes
  std::vector<Message> messages_;
  std::size_t log_bytes_ = 0;
  bool closed_ = false;
};

/// The vertex that findings about a Dockerfile belong to.
std::string source_vertex_digest(const SourceText& source);

}  // namespace cbuild::api
