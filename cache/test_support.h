// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/test_wait.h"
#include "base/text.h"
#include "cache/content/test_files.h"
#include "cache/store.h"

/// For tests: of this module, and of those that stand on it.
namespace cbuild::cache::testing {

/// Sharing of cache mounts, as the store counts it.
inline constexpr int kShared = 0, kPrivate = 1, kLocked = 2;

/// A temporary directory with a store root inside.
struct TempStore {
  TempDir dir = TempDir::in_tmp("cbuild-cache-test-");
  std::string root = dir.path() + "/store";
  StoreOptions options() const { return {root, false}; }
};

/// A layer made by `fill`, on `parent`.
inline Chain add_layer(Store& store, const Digest& parent, const std::function<void(int)>& fill) {
  Staging staging = store.stage("test");
  fill(staging.tree_fd());
  Layer layer;
  layer.id = random_layer_id();
  layer.description = "test layer";
  store.add_tree(layer, std::move(staging));
  return store.extend(parent, layer.id, {});
}

inline Chain add_file_layer(Store& store, const Digest& parent, const std::string& path, const std::string& content) {
  return add_layer(store, parent, [&](int tree) { write_file(tree, path, content); });
}

/// The code of the Error that `action` throws; ErrorCode::internal if it throws none.
inline ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

/// Whether `action` throws Error{missing_content}, and nothing else.
inline bool finds_missing_content(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::missing_content) throw;
    return true;
  }
  return false;
}

inline Record record_of(const Digest& key, const Digest& chain, const std::string& step = "RUN x") {
  Record record;
  record.key = key;
  record.chain = chain;
  record.step_name = step;
  return record;
}

/// Runs `body` in a child process; its exit code, or 128+signal.
inline int in_child(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  const test::Awaiting awaiting("the end of a child process");
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace cbuild::cache::testing
