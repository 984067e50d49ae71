// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/tree_scan.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <utility>
#include <vector>

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kBatchEntries = 64, kBatchParents = 16, kMaxBatchesAhead = 16;
constexpr std::size_t kBatchBytes = 1u << 20;  ///< of file content held by a batch

struct Batch {
  std::vector<WalkEntry> found;
  std::vector<ScannedEntry> scanned;
  std::size_t next = 0, budget = kBatchBytes;
  std::atomic<bool> ready = false;
};

void scan_all(Batch& batch, const ScanRules& rules) {
  batch.scanned.reserve(batch.found.size());
  for (WalkEntry& entry : batch.found) {
    batch.scanned.push_back(scan_entry(std::move(entry), rules, batch.budget));
  }
  batch.found.clear();
  batch.ready.store(true, std::memory_order_release);
}

}  // namespace

struct TreeScan::Impl {
  Impl(int rootfd, const ScanRules& rules_in, Crew& crew_in) : walk(rootfd), rules(rules_in), crew(crew_in) {}

  std::shared_ptr<Batch> walk_batch();
  void post(std::shared_ptr<Batch> batch);
  void look_ahead();
  bool next_alone(ScannedEntry& entry);
  bool next_ahead(ScannedEntry& entry);

  TreeWalk walk;
  const ScanRules rules;
  Crew& crew;
  std::shared_ptr<Batch> alone;  ///< the only batch of a small tree, scanned entry by entry
  std::deque<std::shared_ptr<Batch>> ahead;
  std::size_t max_ahead = 0;
  bool walked = false;
};

std::shared_ptr<Batch> TreeScan::Impl::walk_batch() {
  auto batch = std::make_shared<Batch>();
  std::size_t parents = 0;
  const void* last_parent = nullptr;
  while (batch->found.size() < kBatchEntries && parents < kBatchParents) {
    WalkEntry entry;
    if (!walk.next(entry)) {
      walked = true;
      break;
    }
    if (std::exchange(last_parent, entry.parent.get()) != entry.parent.get()) ++parents;
    batch->found.push_back(std::move(entry));
  }
  return batch;
}

void TreeScan::Impl::post(std::shared_ptr<Batch> batch) {
  ahead.push_back(batch);
  crew.post([batch, scan_rules = rules] { scan_all(*batch, scan_rules); });
}

void TreeScan::Impl::look_ahead() {
  while (!walked && ahead.size() < max_ahead) post(walk_batch());
}

bool TreeScan::Impl::next_alone(ScannedEntry& entry) {
  if (alone->next == alone->found.size()) return false;
  alone->budget = kSmallFile;
  entry = scan_entry(std::move(alone->found[alone->next++]), rules, alone->budget);
  return true;
}

bool TreeScan::Impl::next_ahead(ScannedEntry& entry) {
  for (;;) {
    look_ahead();
    if (ahead.empty()) return false;
    Batch& front = *ahead.front();
    if (!front.ready.load(std::memory_order_acquire)) {
      crew.help_until([&front] { return front.ready.load(std::memory_order_acquire); });
    }
    if (front.next < front.scanned.size()) {
      entry = std::move(front.scanned[front.next++]);
      return true;
    }
    ahead.pop_front();
  }
}

TreeScan::TreeScan(int rootfd, const ScanRules& rules, Crew& crew)
    : impl_(std::make_unique<Impl>(rootfd, rules, crew)) {}
TreeScan::~TreeScan() = default;

bool TreeScan::next(ScannedEntry& entry) {
  if (!impl_->alone && impl_->max_ahead == 0) {
    std::shared_ptr<Batch> first = impl_->walk_batch();
    if (impl_->walked) {
      impl_->alone = std::move(first);
    } else {
      impl_->max_ahead = std::min<std::size_t>(2 * Crew::width() + 2, kMaxBatchesAhead);
      impl_->post(std::move(first));
    }
  }
  return impl_->alone ? impl_->next_alone(entry) : impl_->next_ahead(entry);
}

}  // namespace cbuild::oci::layer
