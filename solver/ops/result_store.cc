// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/sys.h"
#include "base/text.h"
#include "cache/record_search.h"
#include "cache/remote/remote_cache.h"
#include "solver/graph/step_identity.h"
#include "solver/ops/executor.h"

namespace cbuild::solver::ops {
namespace {

struct LockClaim final : Claim {
  explicit LockClaim(FileLock held) : lock(std::move(held)) {}
  FileLock lock;
};

/// The part that says whose step it was; never compared as one.
constexpr std::string_view kProject = "about project";
constexpr unsigned kCandidates = 8;

std::string claim_name(const Digest& key) { return cat("step-", key.hex()); }

}  // namespace

CacheResultStore::CacheResultStore(cache::Store& store, std::string project, cache::RemoteCache* remote)
    : store_(store), project_(std::move(project)), remote_(remote), began_ns_(sys::now_ns()) {}

std::optional<CachedResult> CacheResultStore::find(const Digest& key) {
  auto found = store_.find(key);
  if (!found && remote_ != nullptr) found = remote_->find(key);
  if (!found) return std::nullopt;
  const auto chain = store_.chain(found->chain);
  if (!chain) return std::nullopt;
  store_.pin_chain(chain->id);
  return CachedResult{{chain->id, chain->identity}, found->created_ns, found->duration_ns};
}

void CacheResultStore::publish(const Publication& publication) {
  cache::Record record;
  record.key = publication.content_key;
  record.definition_key = publication.definition_key;
  record.chain = publication.cached.result.id;
  record.created_ns = publication.cached.created_ns;
  record.duration_ns = publication.cached.duration_ns;
  record.step_name = publication.step;
  record.parts = publication.parts;
  if (!record.parts.empty() && !project_.empty()) record.parts.push_back({std::string(kProject), project_});
  store_.publish(record);
}

std::unique_ptr<Claim> CacheResultStore::try_claim(const Digest& key) {
  auto lock = store_.try_lock(claim_name(key));
  return lock ? std::make_unique<LockClaim>(std::move(*lock)) : nullptr;
}

std::unique_ptr<Claim> CacheResultStore::wait_claim(const Digest& key, const std::function<bool()>& cancelled) {
  auto lock = store_.wait_lock(claim_name(key), cancelled);
  return lock ? std::make_unique<LockClaim>(std::move(*lock)) : nullptr;
}

/// The same step for another platform, which this build made a moment ago, explains nothing.
std::vector<cache::Record> CacheResultStore::of_other_builds(std::vector<cache::Record> records) const {
  std::erase_if(records, [this](const cache::Record& record) { return record.created_ns >= began_ns_; });
  return records;
}

/// The step built before that is most like `wanted`: the same instruction, else the one that this Dockerfile had in its
/// place. A step of another Dockerfile counts only if it was mostly the same.
std::optional<CacheResultStore::Relative> CacheResultStore::nearest(const Publication& wanted) {
  std::optional<Relative> best;
  for (const cache::Record& record : of_other_builds(cache::newest_of_step(store_, wanted.step, kCandidates))) {
    Relative found = compare(record, wanted);
    if (!found.same_project && 2 * found.differences.size() > wanted.parts.size()) continue;
    const bool better =
        !best || (found.same_project && !best->same_project) ||
        (found.same_project == best->same_project && found.differences.size() < best->differences.size());
    if (better) best = std::move(found);
  }
  if (best || project_.empty()) return best;
  for (const cache::Record& record : of_other_builds(cache::newest_on(store_, wanted.base, kCandidates))) {
    if (identity_scope(record.step_name) != identity_scope(wanted.step)) continue;
    Relative found = compare(record, wanted);
    if (found.same_project) return found;
  }
  return std::nullopt;
}

CacheResultStore::Relative CacheResultStore::compare(const cache::Record& record, const Publication& wanted) const {
  Relative out;
  std::vector<KeyPart> before;
  for (const KeyPart& part : record.parts) {
    if (part.label == kProject)
      out.same_project = part.value == project_;
    else
      before.push_back(part);
  }
  out.differences = solver::differences(before, wanted.parts);
  return out;
}

Reason CacheResultStore::explain_miss(const Publication& wanted) {
  for (const Digest& key : {wanted.content_key, wanted.definition_key}) {
    const auto evicted = key.empty() ? std::nullopt : store_.evicted_at_ns(key);
    if (evicted)
      return {
          Reason::Kind::evicted, cat("evicted on ", format_rfc3339(*evicted / 1'000'000'000), " by gc"), {}, *evicted};
  }
  auto before = nearest(wanted);
  if (!before) return {Reason::Kind::never_built, "no cached result", {}, 0};
  if (before->differences.empty())
    return {Reason::Kind::missing_content, "built before, but the result is not in the store any more", {}, 0};
  constexpr std::size_t kKeptDifferences = 50;
  std::string text = before->differences[0].text;
  if (before->differences.size() > 1) text += cat(" (and ", before->differences.size() - 1, " more)");
  if (before->differences.size() > kKeptDifferences) before->differences.resize(kKeptDifferences);
  return {Reason::Kind::changed, std::move(text), std::move(before->differences), 0};
}

}  // namespace cbuild::solver::ops
