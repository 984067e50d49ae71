// SPDX-License-Identifier: Apache-2.0
// The plan becomes the table of a layer, breadth first. A file whose bytes an earlier copy wrote, by the stat data of
// its source, is only referred to; the others are read and appended to the contents, on all cores when there are many.
// Metadata of a file with a source is read with it, as write_tree() does; that of one which is referred to is known to
// be nothing but its size, because those with xattrs or holes are never remembered.
#include "solver/ops/write_image.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <tbb/blocked_range.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/layer_table.h"
#include "solver/ops/planned_walk.h"
#include "solver/ops/rootfs_path.h"

namespace cbuild::solver::ops {
namespace {

using cache::ContentAppender;
using cache::ContentPlace;
using cache::CopyImage;
using oci::layer::EntryType;
using oci::layer::LayerTable;
using oci::layer::TableNode;

constexpr std::size_t kImageStretch = 64;
constexpr int kReadFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/// A file with content.
struct CopiedContent {
  std::uint32_t node = 0;  ///< in the table
  const PlannedNode* planned = nullptr;
  std::string path;                        ///< for messages
  std::optional<std::uint64_t> earlier;    ///< where an earlier copy has it
  std::optional<ContentPlace> remembered;  ///< for the next one
};

class ImageWriter {
 public:
  ImageWriter(const PlannedTree& tree, cache::Store& store, const Digest& series, const CancelSource* cancel)
      : tree_(tree), cancel_(cancel), image_(store, series) {}

  cache::CopiedLayer write(const RootMetadata& root);

 private:
  void add_root(const RootMetadata& root);
  void add_children(std::uint32_t directory);
  std::uint32_t node_of(const PlannedNode& planned, const std::string& path);
  void take_over();
  void append_all();
  void append_stretch(std::size_t begin, std::size_t end, ContentAppender& out);
  void append(CopiedContent& content, SourceOpener& sources, ContentAppender& out);
  void append_source(CopiedContent& content, int source, ContentAppender& out);
  void append_piece(TableNode& node, int source, std::uint64_t begin, std::uint64_t end, ContentAppender& out) const;
  std::vector<ContentPlace> remembered();

  const PlannedTree& tree_;
  const CancelSource* cancel_;
  CopyImage image_;
  LayerTable table_;
  std::vector<std::pair<const PlannedNode*, std::string>> directories_;  ///< by node, for those that are one
  std::vector<CopiedContent> contents_;
  std::unordered_map<std::uint64_t, std::uint32_t> first_of_group_;
};

void sort_by_name(std::vector<sys::Xattr>& xattrs) {
  std::sort(xattrs.begin(), xattrs.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

bool may_have_holes(const struct stat& st) { return st.st_blocks * 512 < st.st_size; }

/// The next stretch of data from `at` on; both are `end` if there is none.
std::pair<std::uint64_t, std::uint64_t> next_stretch(int fd, std::uint64_t at, std::uint64_t end) {
  const off_t data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? std::pair(end, end) : std::pair(at, end);
  const off_t hole = ::lseek(fd, data, SEEK_HOLE);
  const std::uint64_t from = std::min(static_cast<std::uint64_t>(data), end);
  return {from, hole < 0 ? end : std::min(static_cast<std::uint64_t>(hole), end)};
}

void ImageWriter::add_root(const RootMetadata& root) {
  TableNode node;
  node.type = EntryType::directory;
  node.mode = root.mode & 07777;
  node.uid = root.owner.uid;
  node.gid = root.owner.gid;
  const std::int64_t now = sys::now_ns();
  const struct timespec mtime = tree_.sets_root_mtime()
                                    ? tree_.root().mtime
                                    : timespec{.tv_sec = now / kNsPerSecond, .tv_nsec = now % kNsPerSecond};
  node.mtime_s = mtime.tv_sec;
  node.mtime_ns = static_cast<std::uint32_t>(mtime.tv_nsec);
  table_.nodes.push_back(std::move(node));
  directories_.emplace_back(&tree_.root(), std::string());
}

void ImageWriter::add_children(std::uint32_t directory) {
  const auto [planned, path] = directories_[directory];
  if (planned == nullptr) return;
  table_.nodes[directory].first_child = static_cast<std::uint32_t>(table_.names.size());
  table_.nodes[directory].children = static_cast<std::uint32_t>(planned->children.size());
  for (const auto& [name, child] : planned->children) {
    const std::uint32_t node = node_of(child, path.empty() ? name : cat(path, '/', name));
    ++table_.nodes[node].names;
    table_.names.push_back({name, node});
  }
}

std::uint32_t ImageWriter::node_of(const PlannedNode& planned, const std::string& path) {
  const auto index = static_cast<std::uint32_t>(table_.nodes.size());
  if (planned.link_group != 0) {
    const auto [first, is_first] = first_of_group_.try_emplace(planned.link_group, index);
    if (!is_first) return first->second;
  }
  TableNode node;
  node.type = entry_type(planned.mode);
  node.mode = planned.mode & 07777;
  node.uid = planned.owner.uid;
  node.gid = planned.owner.gid;
  node.mtime_s = planned.mtime.tv_sec;
  node.mtime_ns = static_cast<std::uint32_t>(planned.mtime.tv_nsec);
  if (S_ISLNK(planned.mode)) node.link_target = planned.text;
  if (S_ISCHR(planned.mode) || S_ISBLK(planned.mode)) {
    node.device_major = major(planned.device);
    node.device_minor = minor(planned.device);
  }
  if (!planned.source) node.xattrs = planned.xattrs;
  sort_by_name(node.xattrs);
  if (node.type == EntryType::file && (planned.source || !planned.text.empty()))
    contents_.push_back({index, &planned, path, std::nullopt, std::nullopt});
  directories_.emplace_back(node.is_directory() ? &planned : nullptr, node.is_directory() ? path : std::string());
  table_.nodes.push_back(std::move(node));
  return index;
}

void ImageWriter::take_over() {
  std::vector<CopyImage::Wanted> wanted;
  for (CopiedContent& content : contents_) {
    if (!content.planned->source_id) continue;
    content.earlier = image_.find(*content.planned->source_id);
    if (content.earlier) wanted.push_back({*content.earlier, content.planned->source_id->size});
  }
  image_.take_over(wanted);
  for (CopiedContent& content : contents_) {
    const auto at = content.earlier ? image_.taken(*content.earlier) : std::nullopt;
    content.earlier = at;
    if (!at) continue;
    TableNode& node = table_.nodes[content.node];
    node.size = content.planned->source_id->size;
    node.extents = {{0, *at, node.size}};
    content.remembered = {*content.planned->source_id, *at};
  }
}

void ImageWriter::append_all() {
  // Each file is a piece of work that waits for the kernel, so a few are worth a second core.
  tbb::enumerable_thread_specific<ContentAppender> appenders([this] { return ContentAppender(image_.contents()); });
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, contents_.size(), kImageStretch),
                    [&](const auto& range) { append_stretch(range.begin(), range.end(), appenders.local()); });
  for (ContentAppender& appender : appenders) appender.flush();
}

void ImageWriter::append_stretch(std::size_t begin, std::size_t end, ContentAppender& out) {
  SourceOpener sources;
  for (std::size_t i = begin; i < end; ++i) {
    if (contents_[i].earlier) continue;
    if (cancel_) cancel_->check();
    try {
      append(contents_[i], sources, out);
    } catch (Error& error) {
      throw error.add_context(cat("/", contents_[i].path));
    }
  }
}

void ImageWriter::append(CopiedContent& content, SourceOpener& sources, ContentAppender& out) {
  const PlannedNode& planned = *content.planned;
  if (planned.source) {
    const UniqueFd source = sys::open_at(sources.open(planned.source)->get(), planned.source_name, kReadFlags);
    return append_source(content, source.get(), out);
  }
  TableNode& node = table_.nodes[content.node];
  node.size = planned.text.size();
  node.extents = {{0, image_.contents_begin() + out.append(planned.text), node.size}};
}

void ImageWriter::append_source(CopiedContent& content, int source, ContentAppender& out) {
  TableNode& node = table_.nodes[content.node];
  const std::int64_t before_ns = sys::now_ns();
  const struct stat before = sys::stat_fd(source);
  if (!S_ISREG(before.st_mode)) throw Error(ErrorCode::input, "it changed its type while it was copied");
  node.size = static_cast<std::uint64_t>(before.st_size);
  node.xattrs = sys::list_xattrs(source);
  std::erase_if(node.xattrs, belongs_to_overlay);
  sort_by_name(node.xattrs);
  if (node.size == 0) return;
  const bool dense = !may_have_holes(before);
  for (std::uint64_t at = 0; at < node.size;) {
    const auto [from, to] = dense ? std::pair(at, node.size) : next_stretch(source, at, node.size);
    if (from < to) append_piece(node, source, from, to, out);
    at = to;
  }
  if (!content.planned->source_id || !node.xattrs.empty() || node.extents.size() != 1) return;
  const cache::StatId id = cache::stat_id(before);
  if (node.extents[0].size == node.size && cache::is_settled(id, before_ns) &&
      cache::stat_id(sys::stat_fd(source)) == id)
    content.remembered = {id, node.extents[0].archive_offset};
}

void ImageWriter::append_piece(TableNode& node, int source, std::uint64_t begin, std::uint64_t end,
                               ContentAppender& out) const {
  node.extents.push_back({begin, image_.contents_begin() + out.begin(end - begin), end - begin});
  while (begin < end) {
    if (cancel_) cancel_->check();
    const std::span<std::byte> room = out.room();
    const ssize_t got = ::pread(source, room.data(), room.size(), static_cast<off_t>(begin));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(errno, "read");
    if (got == 0) throw Error(ErrorCode::io, "it became shorter while it was copied");
    out.advance(static_cast<std::size_t>(got));
    begin += static_cast<std::uint64_t>(got);
  }
}

std::vector<ContentPlace> ImageWriter::remembered() {
  std::vector<ContentPlace> out;
  for (const CopiedContent& content : contents_)
    if (content.remembered) out.push_back(*content.remembered);
  return out;
}

cache::CopiedLayer ImageWriter::write(const RootMetadata& root) {
  add_root(root);
  for (std::uint32_t i = 0; i < table_.nodes.size(); ++i) add_children(i);
  table_.nodes[LayerTable::kRoot].names = 0;
  take_over();
  append_all();
  return image_.finish(std::move(table_), remembered());
}

std::size_t files_below(const PlannedNode& node) {
  std::size_t out = S_ISREG(node.mode) ? 1 : 0;
  for (const auto& [name, child] : node.children) out += files_below(child);
  return out;
}

}  // namespace

std::size_t count_files(const PlannedTree& tree) { return files_below(tree.root()); }

cache::CopiedLayer write_image(const PlannedTree& tree, const RootMetadata& root, cache::Store& store,
                               const Digest& series, const CancelSource* cancel) {
  return ImageWriter(tree, store, series, cancel).write(root);
}

}  // namespace cbuild::solver::ops
