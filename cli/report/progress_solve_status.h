// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

#include "base/progress.h"

namespace cbuild::cli {

/// The event stream as BuildKit's SolveStatus, an object a line: what `docker buildx build --progress=rawjson` prints
/// and its readers take. Vertexes are known by digests; those of steps are the same in every build.
class SolveStatusLines final : public ProgressSink {
 public:
  /// Times of events become times of day by the clock of now.
  explicit SolveStatusLines(int fd);
  void on_event(const ProgressEvent& event) override;

 private:
  struct Vertex {
    std::string digest, name, started, completed, error;
    std::vector<std::string> inputs;
    bool cached = false;
    std::map<std::string, std::string> items;  ///< counter -> when it began
  };

  void handle(const TaskAdded& event);
  void handle(const TaskStarted& event);
  void handle(const TaskFinished& event);
  void handle(const TaskLog& event);
  void handle(const TaskCounter& event);
  void handle(const TaskUse&) {}
  void handle(const RunNote& event);
  void handle(const RunDiagnostic& event);

  std::string time_text(std::int64_t monotonic_ns) const;
  /// A digest for what has none; of equal names in one stream each has another.
  std::string digest_for(const std::string& name);
  void tell_source(const SourceText& source, const std::string& error);
  void tell(const Vertex& vertex);
  void write(const char* list, nlohmann::ordered_json entry);

  const int fd_;
  const std::int64_t clock_offset_ns_;
  std::mutex mutex_;  // guards all below
  std::map<TaskId, Vertex> vertexes_;
  std::map<std::string, unsigned> names_;  ///< of vertexes without a digest of their own
  std::set<std::string> told_;             ///< digests of vertexes
};

}  // namespace cbuild::cli
