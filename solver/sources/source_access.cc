// SPDX-License-Identifier: Apache-2.0
#include "solver/sources/source_access.h"

#include <algorithm>

#include "base/sys.h"
#include "base/text.h"
#include "base/url_parts.h"

namespace cbuild::solver::ops {

SourceTask::SourceTask(const SourceAccess& access, const std::string& name)
    : access_(access), id_(access.progress != nullptr ? access.next_task() : 0) {
  if (access_.progress == nullptr) return;
  access_.progress->on_event(TaskAdded{id_, name, {}});
  access_.progress->on_event(TaskStarted{id_, sys::monotonic_ns(), {}});
}

SourceTask::~SourceTask() {
  if (ended_ || access_.progress == nullptr) return;
  const bool cancelled = access_.cancel != nullptr && access_.cancel->cancelled();
  access_.progress->on_event(
      TaskFinished{id_, sys::monotonic_ns(), cancelled ? TaskState::cancelled : TaskState::failed, {}});
}

void SourceTask::count(std::uint64_t bytes, std::uint64_t total) {
  if (access_.progress == nullptr) return;
  access_.progress->on_event(TaskCounter{id_, "download", bytes, total, true, total != 0 && bytes == total});
}

void SourceTask::done(bool cached) {
  ended_ = true;
  if (access_.progress == nullptr) return;
  access_.progress->on_event(TaskFinished{id_, sys::monotonic_ns(), cached ? TaskState::cached : TaskState::ok, {}});
}

std::string user_info(std::string_view url) {
  const std::optional<UrlParts> parts = split_url(url);
  return std::string(parts ? parts->user_info.value_or("") : "");
}

std::string basic_authorization(std::string_view url) {
  const std::string user = user_info(url);
  if (user.empty()) return {};
  const std::size_t colon = std::min(user.find(':'), user.size());
  const std::string name = percent_decode(std::string_view(user).substr(0, colon));
  const std::string password = colon < user.size() ? percent_decode(std::string_view(user).substr(colon + 1)) : "";
  return cat("Basic ", base64_encode(cat(name, ':', password)));
}

std::string host_of(std::string_view url, bool port) {
  if (const std::optional<UrlParts> parts = split_url(url)) return std::string(port ? parts->authority : parts->host());
  const std::size_t at = url.find('@');  // user@host:path
  url.remove_prefix(at == std::string_view::npos ? 0 : at + 1);
  return std::string(url.substr(0, url.find(':')));
}

std::string shown_url(std::string_view url) {
  const std::string out = without_user_info(url);
  const std::size_t question = out.find('?');
  if (question == std::string::npos) return out;
  const std::size_t fragment = std::min(out.find('#', question), out.size());
  std::vector<std::string> members;
  for (const std::string& member : split(std::string_view(out).substr(question + 1, fragment - question - 1), '&')) {
    const std::size_t equals = member.find('=');
    members.push_back(equals == std::string::npos ? member : cat(member.substr(0, equals), "=***"));
  }
  return cat(out.substr(0, question), '?', join(members, "&"), out.substr(fragment));
}

}  // namespace cbuild::solver::ops
