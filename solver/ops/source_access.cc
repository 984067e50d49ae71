// SPDX-License-Identifier: Apache-2.0
#include "solver/ops/source_access.h"

#include <algorithm>

#include "base/sys.h"
#include "base/text.h"

namespace cbuild::solver::ops {

namespace {

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Where the authority of "scheme://authority/..." begins and ends; nullopt for a text without scheme.
struct Authority {
  std::size_t begin, end;
};
std::optional<Authority> authority_of(std::string_view url) {
  const std::size_t mark = url.find("://");
  if (mark == std::string_view::npos) return std::nullopt;
  const std::size_t begin = mark + 3;
  return Authority{begin, std::min(url.find_first_of("/?#", begin), url.size())};
}

/// What is no escape stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && text.size() - i > 2 && is_hex(text[i + 1]) && is_hex(text[i + 2]);
    out += escape ? static_cast<char>(parse_int(text.substr(i + 1, 2), 16).value_or(0)) : text[i];
    if (escape) i += 2;
  }
  return out;
}

}  // namespace

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
  const auto where = authority_of(url);
  if (!where) return {};
  const std::string_view authority = url.substr(where->begin, where->end - where->begin);
  const std::size_t at = authority.rfind('@');
  return at == std::string_view::npos ? std::string() : std::string(authority.substr(0, at));
}

std::string basic_authorization(std::string_view url) {
  const std::string user = user_info(url);
  if (user.empty()) return {};
  const std::size_t colon = std::min(user.find(':'), user.size());
  const std::string name = percent_decoded(std::string_view(user).substr(0, colon));
  const std::string password = colon < user.size() ? percent_decoded(std::string_view(user).substr(colon + 1)) : "";
  return cat("Basic ", base64_encode(cat(name, ':', password)));
}

std::string without_user_info(std::string_view url) {
  const std::string user = user_info(url);
  const auto where = authority_of(url);
  if (!where || url.substr(where->begin + user.size(), 1) != "@") return std::string(url);
  return cat(url.substr(0, where->begin), url.substr(where->begin + user.size() + 1));
}

std::string host_of(std::string_view url, bool port) {
  const auto where = authority_of(url);
  if (!where) {  // user@host:path
    const std::size_t at = url.find('@');
    url.remove_prefix(at == std::string_view::npos ? 0 : at + 1);
    return std::string(url.substr(0, url.find(':')));
  }
  std::string_view authority = url.substr(where->begin, where->end - where->begin);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
  const std::size_t bracket = authority.find(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  return std::string(port ? authority : authority.substr(0, colon));
}

std::string shown_url(std::string_view url) {
  std::string out = without_user_info(url);
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
