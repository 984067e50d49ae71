// SPDX-License-Identifier: Apache-2.0
// Files come into a directory under construction at the paths that they have in the layer, so whoever copies from a
// tree copies from that. Only what a copy reads of a file is set: content and xattrs. All else is the table's.
#include "solver/ops/foreign_layer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/layer_dir.h"
#include "oci/layer/foreign_table.h"
#include "oci/table_annotations.h"

namespace cbuild::solver::ops {
namespace {

using oci::layer::ForeignRange;
using oci::layer::LayerTable;
using oci::layer::TableNode;

// A layer is brought whole where that is likely to take less time: it is unpacked while it comes, in one question.
constexpr std::uint64_t kLeastBlob = 1u << 20;
constexpr std::uint64_t kMostQuestions = 64;
constexpr std::uint64_t kPartOfBlob = 2;
constexpr std::size_t kQuestionsAtOnce = 4;

/// A tree that lives as long as its readers.
struct PartsTree {
  explicit PartsTree(cache::Staging staged)
      : staging(std::move(staged)), tree(sys::open_at(staging.tree_fd(), ".", O_RDONLY | O_DIRECTORY)) {}
  cache::Staging staging;
  cache::LayerDir tree;
};

class ForeignLayer final : public cache::PartialLayer {
 public:
  ForeignLayer(cache::Store& store, const cache::Layer& layer, oci::layer::ForeignTable table, ReadLayerRange read)
      : store_(store), layer_(layer), table_(std::move(table)), read_(std::move(read)) {
    cache::KeptTable kept{table_.table, {}};
    kept.table.diff_id = layer.diff_id;
    kept_ = std::make_shared<const cache::KeptTable>(std::move(kept));
  }

  const cache::SharedTable& table() const override { return kept_; }
  std::shared_ptr<const cache::LayerTree> bring(const std::vector<std::string>& paths) override;

 private:
  using Files = std::map<std::uint32_t, UniqueFd>;

  bool is_worth_it(const std::vector<ForeignRange>& ranges);
  bool write(const std::vector<std::string>& paths, const std::vector<ForeignRange>& ranges, int root) const;
  bool make_files(const std::vector<std::string>& paths, int root, Files& files) const;
  bool read_all(const std::vector<ForeignRange>& ranges, const Files& files) const;
  bool holds(std::uint32_t node, int file) const;

  cache::Store& store_;
  const cache::Layer layer_;
  const oci::layer::ForeignTable table_;
  const ReadLayerRange read_;
  cache::SharedTable kept_;
  std::mutex mutex_;  // guards what follows
  std::uint64_t questions_ = 0, bytes_ = 0;
};

/// All that is read of one layer in a build counts together.
bool ForeignLayer::is_worth_it(const std::vector<ForeignRange>& ranges) {
  std::uint64_t bytes = 0;
  for (const ForeignRange& range : ranges) bytes += range.size;
  const std::lock_guard lock(mutex_);
  if (questions_ + ranges.size() > kMostQuestions || bytes_ + bytes > layer_.blob->size / kPartOfBlob) return false;
  questions_ += ranges.size();
  bytes_ += bytes;
  return true;
}

/// An empty file for each node, under all of its paths. False where the file system cannot hold what it needs.
bool ForeignLayer::make_files(const std::vector<std::string>& paths, int root, Files& files) const {
  std::map<std::uint32_t, std::string> first;
  std::set<std::string> directories{""};
  for (const std::string& path : paths) {
    for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1))
      if (directories.insert(path.substr(0, end)).second) sys::mkdir_at(root, path.substr(0, end), 0700);
    const std::uint32_t node = table_.table.find(path);
    if (const auto [other, is_first] = first.emplace(node, path); !is_first) {
      if (linkat(root, other->second.c_str(), root, path.c_str(), 0) != 0) throw_errno(errno, "link");
      continue;
    }
    files.emplace(node, sys::open_at(root, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    const std::vector<sys::Xattr>& xattrs = table_.table.nodes[node].xattrs;
    if (!std::all_of(xattrs.begin(), xattrs.end(),
                     [&](const auto& xattr) { return sys::set_xattr_at(root, path, xattr); }))
      return false;
  }
  return true;
}

bool ForeignLayer::read_all(const std::vector<ForeignRange>& ranges, const Files& files) const {
  std::atomic<bool> good = true;
  const auto read = [this](std::uint64_t offset, std::uint64_t size) { return read_(layer_, offset, size); };
  const auto sink = [&files](std::uint32_t node, std::uint64_t offset, std::string_view bytes) {
    sys::pwrite_all(files.at(node).get(), bytes, static_cast<off_t>(offset));
  };
  run_at_once(ranges.size(), kQuestionsAtOnce, [&](std::size_t i) {
    if (good && !read_pieces(ranges[i], read, sink)) good = false;
  });
  return good;
}

/// The pieces were verified one by one; whether they are this file is another question.
bool ForeignLayer::holds(std::uint32_t node, int file) const {
  const TableNode& told = table_.table.nodes[node];
  return told.size == 0 || sha256_fd(file) == told.content;
}

bool ForeignLayer::write(const std::vector<std::string>& paths, const std::vector<ForeignRange>& ranges,
                         int root) const {
  Files files;
  if (!make_files(paths, root, files) || !read_all(ranges, files)) return false;
  return std::all_of(files.begin(), files.end(),
                     [this](const auto& file) { return holds(file.first, file.second.get()); });
}

std::shared_ptr<const cache::LayerTree> ForeignLayer::bring(const std::vector<std::string>& paths) {
  std::vector<std::uint32_t> nodes;
  for (const std::string& path : paths) nodes.push_back(table_.table.find(path));
  const auto ranges = oci::layer::plan_reads(table_, nodes);
  if (!ranges || !is_worth_it(*ranges)) return nullptr;
  auto tree = std::make_shared<PartsTree>(store_.stage("parts"));
  if (!write(paths, *ranges, tree->staging.tree_fd())) return nullptr;
  return {tree, &tree->tree};
}

std::shared_ptr<cache::PartialLayer> open_layer(cache::Store& store, const cache::Layer& layer,
                                                const ReadLayerRange& read) {
  auto table = oci::layer::read_foreign_table(
      *layer.blob, [&](std::uint64_t offset, std::uint64_t size) { return read(layer, offset, size); });
  if (!table) return nullptr;
  return std::make_shared<ForeignLayer>(store, layer, std::move(*table), read);
}

bool may_be_read(const cache::Layer& layer) {
  return layer.blob && layer.blob->size >= kLeastBlob && !oci::table_claim(*layer.blob).empty();
}

}  // namespace

std::shared_ptr<cache::PartialLayer> ForeignLayers::find(const cache::Layer& layer, bool is_here) {
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    const auto [at, is_new] = entries_.try_emplace(layer.id);
    if (is_new && !is_here && read_ && may_be_read(layer)) at->second = std::make_shared<Entry>();
    entry = at->second;
  }
  if (!entry) return nullptr;
  std::call_once(entry->opened, [&] { entry->parts = open_layer(store_, layer, read_); });
  return entry->parts;
}

bool ForeignLayers::any_of(const std::vector<Digest>& layers) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(layers.begin(), layers.end(), [this](const Digest& layer) { return is_one(layer); });
}

bool ForeignLayers::leave_out(const std::vector<Digest>& layers) {
  const std::lock_guard lock(mutex_);
  if (std::any_of(layers.begin(), layers.end(), [this](const Digest& layer) { return is_one(layer); })) return false;
  for (const Digest& layer : layers) entries_.try_emplace(layer);
  return true;
}

bool ForeignLayers::is_one(const Digest& layer) const {
  const auto at = entries_.find(layer);
  return at != entries_.end() && at->second;
}

}  // namespace cbuild::solver::ops
