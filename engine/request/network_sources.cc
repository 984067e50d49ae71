// SPDX-License-Identifier: Apache-2.0
#include "engine/request/network_sources.h"

#include <atomic>
#include <memory>

#include "engine/request/source_redirect.h"

namespace cbuild::engine {

namespace {

constexpr TaskId kFirstTask = TaskId{1} << 41;

std::string default_agent(const SourceKeys& keys) {
  for (const SshSource& option : keys.ssh)
    if (option.id == "default") return option.socket;
  return keys.other_agent ? keys.other_agent("default").value_or("") : std::string();
}

solver::ops::SourceAccess access_to(cache::Store& store, const SourceKeys& keys, const SourceSettings& settings,
                                    ProgressSink& progress, const CancelSource& cancel) {
  auto next = std::make_shared<std::atomic<TaskId>>(kFirstTask);
  const auto secret = [keys](const std::string& id) -> std::optional<std::string> {
    for (const Secret& offered : keys.secrets)
      if (offered.id == id) return offered.read();
    return keys.other_secret ? keys.other_secret(id) : std::nullopt;
  };
  return {store,
          &progress,
          &cancel,
          [next] { return (*next)++; },
          secret,
          [keys] { return default_agent(keys); },
          settings.transfer_limits};
}

}  // namespace

NetworkSources::NetworkSources(cache::Store& store, const SourceKeys& keys, const SourceSettings& settings,
                               ProgressSink& progress, const CancelSource& cancel)
    : NetworkSources(access_to(store, keys, settings, progress, cancel), settings.policy) {}
NetworkSources::NetworkSources(const solver::ops::SourceAccess& access, std::shared_ptr<const SourcePolicy> policy)
    : policy_(std::move(policy)), urls_(access), git_(access) {}
NetworkSources::~NetworkSources() = default;

void NetworkSources::redirect_url(std::string& url, Digest& expected) {
  if (policy_) engine::redirect_url(*policy_, url, expected);
}

void NetworkSources::redirect_git(frontend::GitRef& ref) {
  if (policy_) engine::redirect_git(*policy_, ref);
}

frontend::PinnedFile NetworkSources::pin_url(const std::string& url, const Digest& expected) {
  const solver::ops::UrlContent found = urls_.pin(url, expected);
  return {found.content, found.last_modified_s};
}

frontend::PinnedCommit NetworkSources::pin_git(const std::string& remote, const std::string& ref) {
  solver::ops::GitCommit found = git_.pin(remote, ref);
  return {std::move(found.commit), std::move(found.tag_object), std::move(found.ref)};
}

std::optional<std::int64_t> NetworkSources::source_time(const solver::Op& source) {
  if (const auto* git = std::get_if<solver::GitSource>(&source))
    return git_.commit_time(git->remote, git->commit, git->ref);
  const auto* file = std::get_if<solver::HttpSource>(&source);
  if (file == nullptr) return std::nullopt;
  return file->mtime_s != 0 ? std::optional(file->mtime_s) : urls_.newest_file(file->url, file->content);
}

}  // namespace cbuild::engine
