// SPDX-License-Identifier: Apache-2.0
// The entries of a tree in their order, with metadata and the content of small files read ahead by other threads. A
// tree is cut into batches of up to 64 entries; the walk stays on the calling thread, which also helps with the reading
// while it waits. The number of batches ahead and the bytes held by each are limited. A tree of one batch is read entry
// by entry without any thread. The tree is a directory or the plan of a deferred copy.
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

class WalkedBatch final : public ScanBatch {
 public:
  WalkedBatch(std::vector<WalkEntry> found, const ScanRules& rules) : found_(std::move(found)), rules_(rules) {}
  std::size_t size() const override { return found_.size(); }
  ScannedEntry scan(std::size_t index, std::size_t& budget) override {
    return scan_entry(std::move(found_[index]), rules_, budget);
  }

 private:
  std::vector<WalkEntry> found_;
  const ScanRules rules_;
};

class PlannedBatch final : public ScanBatch {
 public:
  explicit PlannedBatch(std::vector<PlannedEntry> planned) : planned_(std::move(planned)) {}
  std::size_t size() const override { return planned_.size(); }
  ScannedEntry scan(std::size_t index, std::size_t& budget) override {
    return scan_planned(std::move(planned_[index]), budget);
  }

 private:
  std::vector<PlannedEntry> planned_;
};

/// Takes entries until there are many, or they hold many directories open.
template <typename Entry, typename Next, typename DirectoryOf>
std::vector<Entry> take_batch(const Next& next, const DirectoryOf& directory_of) {
  std::vector<Entry> taken;
  std::size_t directories = 0;
  const void* last = nullptr;
  while (taken.size() < kBatchEntries && directories < kBatchParents) {
    Entry entry;
    if (!next(entry)) break;
    if (std::exchange(last, directory_of(entry)) != directory_of(entry)) ++directories;
    taken.push_back(std::move(entry));
  }
  return taken;
}

class DirectorySource final : public ScanSource {
 public:
  DirectorySource(int rootfd, const ScanRules& rules) : walk_(rootfd), rules_(rules) {}
  std::shared_ptr<ScanBatch> next() override {
    auto found = take_batch<WalkEntry>([this](WalkEntry& entry) { return walk_.next(entry); },
                                       [](const WalkEntry& entry) { return entry.parent.get(); });
    return found.empty() ? nullptr : std::make_shared<WalkedBatch>(std::move(found), rules_);
  }

 private:
  TreeWalk walk_;
  const ScanRules rules_;
};

class PlannedSource final : public ScanSource {
 public:
  explicit PlannedSource(PlannedEntries& entries) : entries_(entries) {}
  std::shared_ptr<ScanBatch> next() override {
    auto planned = take_batch<PlannedEntry>([this](PlannedEntry& entry) { return entries_.next(entry); },
                                            [](const PlannedEntry& entry) { return entry.directory.get(); });
    return planned.empty() ? nullptr : std::make_shared<PlannedBatch>(std::move(planned));
  }

 private:
  PlannedEntries& entries_;
};

/// A batch that is scanned by a task.
struct Ahead {
  explicit Ahead(std::shared_ptr<ScanBatch> of) : batch(std::move(of)) {}
  void scan_all() {
    std::size_t budget = kBatchBytes;
    scanned.reserve(batch->size());
    for (std::size_t i = 0; i < batch->size(); ++i) scanned.push_back(batch->scan(i, budget));
    batch.reset();
    ready.store(true, std::memory_order_release);
  }

  std::shared_ptr<ScanBatch> batch;
  std::vector<ScannedEntry> scanned;
  std::size_t next = 0;
  std::atomic<bool> ready = false;
};

}  // namespace

std::unique_ptr<ScanSource> scan_directory_tree(int rootfd, const ScanRules& rules) {
  return std::make_unique<DirectorySource>(rootfd, rules);
}

std::unique_ptr<ScanSource> scan_planned_tree(PlannedEntries& entries) {
  return std::make_unique<PlannedSource>(entries);
}

struct TreeScan::Impl {
  Impl(ScanSource& source_in, TaskGroup& tasks_in) : source(source_in), tasks(tasks_in) {}

  void begin();
  void post(std::shared_ptr<ScanBatch> batch);
  void look_ahead();
  bool next_alone(ScannedEntry& entry);
  bool next_ahead(ScannedEntry& entry);

  ScanSource& source;
  TaskGroup& tasks;
  std::shared_ptr<ScanBatch> alone;  ///< the only batch of a small tree, scanned entry by entry
  std::size_t next_of_alone = 0;
  std::deque<std::shared_ptr<Ahead>> ahead;
  std::size_t max_ahead = 0;
  bool begun = false, walked = false;
};

void TreeScan::Impl::begin() {
  begun = true;
  std::shared_ptr<ScanBatch> first = source.next();
  std::shared_ptr<ScanBatch> second = first ? source.next() : nullptr;
  if (!second) {
    walked = true;
    alone = std::move(first);
    return;
  }
  max_ahead = std::min<std::size_t>(2 * TaskGroup::width() + 2, kMaxBatchesAhead);
  post(std::move(first));
  post(std::move(second));
}

void TreeScan::Impl::post(std::shared_ptr<ScanBatch> batch) {
  ahead.push_back(std::make_shared<Ahead>(std::move(batch)));
  tasks.post([mine = ahead.back()] { mine->scan_all(); });
}

void TreeScan::Impl::look_ahead() {
  while (!walked && ahead.size() < max_ahead) {
    std::shared_ptr<ScanBatch> batch = source.next();
    walked = batch == nullptr;
    if (batch) post(std::move(batch));
  }
}

bool TreeScan::Impl::next_alone(ScannedEntry& entry) {
  if (!alone || next_of_alone == alone->size()) return false;
  std::size_t budget = kSmallFile;
  entry = alone->scan(next_of_alone++, budget);
  return true;
}

bool TreeScan::Impl::next_ahead(ScannedEntry& entry) {
  for (;;) {
    look_ahead();
    if (ahead.empty()) return false;
    Ahead& front = *ahead.front();
    if (!front.ready.load(std::memory_order_acquire)) {
      tasks.help_until([&front] { return front.ready.load(std::memory_order_acquire); });
    }
    if (front.next < front.scanned.size()) {
      entry = std::move(front.scanned[front.next++]);
      return true;
    }
    ahead.pop_front();
  }
}

TreeScan::TreeScan(ScanSource& source, TaskGroup& tasks) : impl_(std::make_unique<Impl>(source, tasks)) {}
TreeScan::~TreeScan() = default;

bool TreeScan::next(ScannedEntry& entry) {
  if (!impl_->begun) impl_->begin();
  return impl_->max_ahead == 0 ? impl_->next_alone(entry) : impl_->next_ahead(entry);
}

}  // namespace cbuild::oci::layer
