// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/text.h"
#include "solver/ops/executor.h"

namespace cbuild::solver::ops {
namespace {

struct LockClaim final : Claim {
  explicit LockClaim(FileLock held) : lock(std::move(held)) {}
  FileLock lock;
};

std::string claim_name(const Digest& key) { return cat("step-", key.hex()); }

}  // namespace

std::optional<Record> CacheResultStore::find(const Digest& key) {
  const auto found = store_.find(key);
  if (!found) return std::nullopt;
  const auto chain = store_.chain(found->chain);
  if (!chain) return std::nullopt;
  store_.pin_chain(chain->id);
  return Record{{chain->id, chain->identity}, found->created_ns, found->duration_ns};
}

void CacheResultStore::publish(const Publication& publication) {
  cache::Record record;
  record.key = publication.content_key;
  record.definition_key = publication.definition_key;
  record.chain = publication.record.result.id;
  record.created_ns = publication.record.created_ns;
  record.duration_ns = publication.record.duration_ns;
  record.step_name = publication.step_name;
  for (const KeyPart& part : publication.parts) record.parts.push_back({part.label, part.value});
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

std::string CacheResultStore::explain_miss(const Publication& wanted) {
  for (const Digest& key : {wanted.definition_key, wanted.content_key}) {
    const auto evicted = key.empty() ? std::nullopt : store_.evicted_at_ns(key);
    if (evicted) return cat("evicted on ", format_rfc3339(*evicted / 1'000'000'000), " by gc");
  }
  const auto before = store_.newest_of_step(wanted.step_name);
  if (!before) return "never built";
  for (const KeyPart& part : wanted.parts) {
    const auto same_label = [&](const cache::KeyPart& old) { return old.label == part.label; };
    const auto old = std::find_if(before->parts.begin(), before->parts.end(), same_label);
    if (old == before->parts.end()) return cat(part.label, " is new");
    if (old->value != part.value) return cat(part.label, " changed");
  }
  for (const cache::KeyPart& old : before->parts) {
    const auto same_label = [&](const KeyPart& part) { return old.label == part.label; };
    if (std::none_of(wanted.parts.begin(), wanted.parts.end(), same_label)) return cat(old.label, " is gone");
  }
  return "its inputs changed";
}

}  // namespace cbuild::solver::ops
