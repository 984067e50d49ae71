// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/session/client_session.h"
#include "base/cancel.h"
#include "base/files.h"
#include "base/progress.h"
#include "engine/request/request.h"

namespace cbuild::api {

/// The directories of clients that one build reads: copies in the store that stay from build to build, so that an
/// unchanged directory moves no file. They are locked until the object dies; a build that finds one locked takes
/// another copy.
class ClientContexts {
 public:
  /// The references must outlive it.
  ClientContexts(std::string store, ProgressSink& progress, const CancelSource& cancel)
      : root_(std::move(store)), progress_(progress), cancel_(cancel) {}

  /// Locks a copy of the client's directory `name`; its path. It may be empty or old until it is filled. `part` tells
  /// copies of parts of one directory from each other.
  std::string open(const std::shared_ptr<ClientSession>& session, const std::string& name, const std::string& part);
  /// Fills the copy behind `read` with the parts that are read. Other directories are left alone.
  void fill(const engine::DirectoryRead& read);
  /// Fills the copy `path` with what `request` asks for.
  void fill(const std::string& path, SyncRequest request);

 private:
  struct Copy {
    std::shared_ptr<ClientSession> session;
    std::string name, part;
    SyncedDirectory directory;
  };
  const std::string& lock(const std::shared_ptr<ClientSession>& session, const std::string& name,
                          const std::string& part);

  const std::string root_;
  ProgressSink& progress_;
  const CancelSource& cancel_;
  std::mutex mutex_;                                     // guards the rest
  std::map<std::string, std::unique_ptr<Copy>> copies_;  ///< by path of the tree
  TaskId next_task_ = TaskId{1} << 44;
};

}  // namespace cbuild::api
