// SPDX-License-Identifier: Apache-2.0
// A copy belongs to the client's shared key (a hash of its directory and machine), or to the session where it has none,
// and to the directory's name. Of the build context only what the graph reads is fetched, with everything that the
// ignore file leaves out left out by the client already.
#include "api/daemon/client_contexts.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "api/daemon/workspace.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr unsigned kMostCopies = 64;  // of one directory, by builds at the same time

/// What the client has to send for a part. A file below a link is found by following it.
void add_part(const solver::Selector& part, SyncRequest& request) {
  if (part.kind == solver::Selector::Kind::whole) request.follow_paths.push_back(".");
  for (const std::string& path : part.paths) request.follow_paths.push_back(path);
}

}  // namespace

std::string ClientContexts::open(const std::shared_ptr<ClientSession>& session, const std::string& name,
                                 const std::string& part) {
  const std::lock_guard lock_copies(mutex_);
  for (const auto& [path, copy] : copies_)
    if (copy->session == session && copy->name == name && copy->part == part) return path;
  return lock(session, name, part);
}

const std::string& ClientContexts::lock(const std::shared_ptr<ClientSession>& session, const std::string& name,
                                        const std::string& part) {
  const SessionHeader& header = session->header();
  const std::string owner = header.shared_key.empty() ? header.id : header.shared_key;
  const std::string parent = client_copies(root_);
  sys::mkdir_all(AT_FDCWD, parent, 0700);
  const std::string base = cat(parent, "/", sha256(cat(owner, "\n", name, "\n", part)).hex().substr(0, 32));
  for (unsigned number = 0; number < kMostCopies; ++number) {
    auto directory = SyncedDirectory::try_lock(number == 0 ? base : cat(base, "-", number));
    if (!directory) continue;
    const std::string path = directory->tree_path();
    ::utimensat(AT_FDCWD, dir_name(path).c_str(), nullptr, 0);  // remove_client_copies() looks at it
    return copies_.emplace(path, std::make_unique<Copy>(Copy{session, name, part, std::move(*directory)})).first->first;
  }
  throw Error(ErrorCode::unsupported, cat("too many builds read the same directory ", name, " at once"));
}

void ClientContexts::fill(const engine::DirectoryRead& read) {
  SyncRequest request;
  request.exclude = read.directory.ignore;
  for (const solver::Selector& part : read.parts) add_part(part, request);
  if (std::find(request.follow_paths.begin(), request.follow_paths.end(), ".") != request.follow_paths.end())
    request.follow_paths.clear();
  fill(read.directory.path, std::move(request));
}

void ClientContexts::fill(const std::string& path, SyncRequest request) {
  Copy* copy = nullptr;
  TaskId task = 0;
  {
    const std::lock_guard lock_copies(mutex_);
    const auto found = copies_.find(path);
    if (found == copies_.end()) return;
    copy = found->second.get();
    task = next_task_++;
  }
  request.directory_name = copy->name;
  progress_.on_event(
      TaskAdded{task, cat("[internal] load build context ", copy->name == "context" ? "" : copy->name), {}});
  progress_.on_event(TaskStarted{task, sys::monotonic_ns(), {}});
  const std::string item = cat("transferring ", copy->name, ":");
  request.progress = [&](std::uint64_t bytes, std::uint64_t) {
    progress_.on_event(TaskCounter{task, item, bytes, 0, true, false});
  };
  try {
    const SyncResult result = copy->session->sync_directory(request, copy->directory, &cancel_);
    progress_.on_event(TaskCounter{task, item, result.bytes, 0, true, true});
    if (!result.incomplete.empty())
      throw Error(ErrorCode::io, cat("the client could not send ", join(result.incomplete, ", ")));
  } catch (const Error& error) {
    progress_.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::failed, error.what()});
    throw;
  }
  progress_.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::ok, {}});
}

}  // namespace cbuild::api
