// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/builds.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr auto kBuildPatience = std::chrono::seconds(10);
constexpr auto kBuildTick = std::chrono::milliseconds(100);
constexpr std::size_t kMostEnded = 16;
constexpr std::size_t kMostResults = 10'000;

}  // namespace

std::string Build::add_result(moby::buildkit::v1::frontend::SolveRequest asked) {
  const std::lock_guard lock(mutex_);
  if (results_.size() >= kMostResults) throw Error(ErrorCode::usage, "too many results in one build");
  std::string id = cat(ref(), "/", random_hex());
  results_[id] = std::make_shared<const moby::buildkit::v1::frontend::SolveRequest>(std::move(asked));
  return id;
}

Build::Asked Build::result(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = results_.find(id);
  return found == results_.end() ? nullptr : found->second;
}

ResultTree Build::tree(const std::string& id, const std::string& store,
                       const std::function<void(const std::string& path)>& make) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = trees_.find(id); found != trees_.end()) return found->second;
  }
  ResultTree made(store);
  make(made.path());
  const std::lock_guard lock(mutex_);
  return trees_.emplace(id, std::move(made)).first->second;
}

void Build::give_back(moby::buildkit::v1::frontend::ReturnRequest returned) {
  const std::lock_guard lock(mutex_);
  if (!returned_) returned_ = std::move(returned);
  changed_.notify_all();
}

moby::buildkit::v1::frontend::ReturnRequest Build::wait_returned(const std::function<bool()>& gone) {
  std::unique_lock lock(mutex_);
  while (!returned_) {
    if (gone()) throw Error(ErrorCode::cancelled, "the client is gone");
    changed_.wait_for(lock, kBuildTick);
  }
  return *returned_;
}

std::shared_ptr<Build> Builds::begin(moby::buildkit::v1::SolveRequest request) {
  auto build = std::make_shared<Build>(std::move(request));
  const std::lock_guard lock(mutex_);
  if (build->ref().empty()) throw Error(ErrorCode::usage, "a build needs a ref");
  if (!running_.emplace(build->ref(), build).second)
    throw Error(ErrorCode::usage, cat("build ", build->ref(), " runs already"));
  changed_.notify_all();
  return build;
}

void Builds::end(const std::shared_ptr<Build>& build) {
  build->status().close();
  const std::lock_guard lock(mutex_);
  running_.erase(build->ref());
  ended_.push_back(build);
  if (ended_.size() > kMostEnded) ended_.pop_front();
}

std::shared_ptr<Build> Builds::wait(const std::string& ref, const std::function<bool()>& gone) {
  const auto end = std::chrono::steady_clock::now() + kBuildPatience;
  std::unique_lock lock(mutex_);
  while (true) {
    if (const auto found = running_.find(ref); found != running_.end()) return found->second;
    const auto past = std::find_if(ended_.rbegin(), ended_.rend(), [&](const auto& b) { return b->ref() == ref; });
    if (past != ended_.rend()) return *past;
    if (gone()) throw Error(ErrorCode::cancelled, "the client is gone");
    if (std::chrono::steady_clock::now() > end) throw Error(ErrorCode::not_found, cat("no such build: ", ref));
    changed_.wait_for(lock, kBuildTick);
  }
}

bool Builds::idle() {
  const std::lock_guard lock(mutex_);
  return running_.empty();
}

std::vector<std::string> Builds::running() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> refs;
  for (const auto& [ref, build] : running_)
    if (!build->request().internal()) refs.push_back(ref);
  return refs;
}

void Builds::cancel_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [ref, build] : running_) build->cancel().cancel();
}

}  // namespace cbuild::api
