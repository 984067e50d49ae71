// SPDX-License-Identifier: Apache-2.0
#include "api/session/incoming_files.h"

#include <fcntl.h>

#include <utility>

#include "api/session/tree_walk.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kMaxIncomplete = 100;

}  // namespace

IncomingFiles::IncomingFiles(const SyncedDirectory& destination, const KeptMetadata& kept, const SyncLimits& limits,
                             SyncProgress progress, std::function<void(std::uint32_t)> ask)
    : destination_(destination), kept_(kept), limits_(limits), progress_(std::move(progress)), ask_(std::move(ask)) {}

void IncomingFiles::want(std::uint32_t number, FileStat entry) {
  if (open_.size() >= limits_.in_flight) {
    waiting_.emplace_back(number, std::move(entry));
    return;
  }
  open_.emplace(number, File{std::move(entry), {}});
  ask_(number);
}

void IncomingFiles::take(std::uint32_t number, std::string_view bytes) {
  const auto found = open_.find(number);
  if (found == open_.end())
    throw Error(ErrorCode::input, cat("the client sent data of file ", number, ", which was not asked for"));
  File& file = found->second;
  if (!bytes.empty()) {
    bytes_ += bytes.size();
    file.written += bytes.size();
    if (bytes_ > limits_.bytes)
      throw Error(ErrorCode::input, cat("the client's files have more than ", limits_.bytes, " bytes"));
    // Clients say 0 for a file that is a hard link to one that is left out, and send it whole.
    if (file.entry.size != 0 && file.written > file.entry.size)
      throw Error(ErrorCode::input, cat("the client sent more than the ", file.entry.size, " bytes of ",
                                        go_quote(file.entry.path), ": it was changed while it was read"));
    if (!file.fd) open(number, file);
    sys::write_all(file.fd.get(), bytes);
  } else {
    finish(number, file);
    open_.erase(found);
    if (!waiting_.empty()) {
      auto [next, entry] = std::move(waiting_.front());
      waiting_.pop_front();
      want(next, std::move(entry));
    }
  }
  if (progress_) progress_(bytes_, files_);
}

void IncomingFiles::open(std::uint32_t number, File& file) const {
  file.fd =
      sys::open_at(destination_.staging_fd(), std::to_string(number), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

void IncomingFiles::finish(std::uint32_t number, File& file) {
  if (!file.fd) open(number, file);
  if (file.written < file.entry.size && incomplete_.size() < kMaxIncomplete) incomplete_.push_back(file.entry.path);
  set_metadata(file.fd.get(), file.entry, kept_);
  file.fd.close_checked();
  sys::rename_at(destination_.staging_fd(), std::to_string(number), parent_of(file.entry.path),
                 base_name(file.entry.path));
  ++files_;
}

int IncomingFiles::parent_of(const std::string& path) {
  std::string parent = parent_path(path);
  if (!parent_ || parent != parent_path_) {
    parent_ = open_directory(destination_.tree_fd(), parent);
    parent_path_ = std::move(parent);
  }
  return parent_.get();
}

}  // namespace cbuild::api
