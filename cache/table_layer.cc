// SPDX-License-Identifier: Apache-2.0
#include "cache/table_layer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/planned_entry.h"

namespace cbuild::cache {

namespace {

using oci::layer::EntryType;
using oci::layer::LayerTable;
using oci::layer::TableNode;

constexpr mode_t kLinkMode = 0777;  ///< as the kernel shows all of them

/// A number that no file system has.
dev_t new_device() {
  static std::atomic<dev_t> last{dev_t{1} << 62};
  return ++last;
}

/// Whether a file of a tree has the metadata and content that a table gives it.
bool is_as_told(const LayerTree& tree, const std::string& path, const struct stat& told, const TableNode& node) {
  const auto st = tree.lookup(path);
  if (!st || st->st_mode != told.st_mode || st->st_uid != told.st_uid || st->st_gid != told.st_gid) return false;
  if (st->st_mtim.tv_sec != told.st_mtim.tv_sec || st->st_size != told.st_size) return false;
  if (oci::layer::layer_xattrs(tree.xattrs(path)) != oci::layer::layer_xattrs(node.xattrs)) return false;
  if (node.size == 0 || !node.content) return true;
  const auto file = tree.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return file && sha256_fd(file->get()) == *node.content;
}

}  // namespace

TableLayer::TableLayer(SharedTable table, Bring bring)
    : kept_(std::move(table)), table_(kept_->table), device_(new_device()), bring_(std::move(bring)) {}

TableLayer::TableLayer(std::shared_ptr<PartialLayer> parts, Bring bring)
    : kept_(parts->table()),
      table_(kept_->table),
      device_(new_device()),
      bring_(std::move(bring)),
      parts_(std::move(parts)) {}

const TableNode* TableLayer::find(const std::string& path) const {
  const std::uint32_t node = table_.find(path);
  return node == LayerTable::kNone ? nullptr : &table_.nodes[node];
}

const TableNode& TableLayer::at(const std::string& path) const {
  const TableNode* node = find(path);
  if (node == nullptr) throw Error(ErrorCode::not_found, "/" + path + ": no such file or directory");
  return *node;
}

struct stat TableLayer::stat_of(std::uint32_t index) const {
  const TableNode& node = table_.nodes[index];
  struct stat st {};
  st.st_dev = device_;
  st.st_ino = index + 1;
  st.st_mode = type_bits(node.type) | (node.type == EntryType::symlink ? kLinkMode : node.mode);
  st.st_nlink = node.is_directory() ? 2 : node.names;
  st.st_uid = node.uid;
  st.st_gid = node.gid;
  st.st_size = static_cast<off_t>(node.type == EntryType::symlink ? node.link_target.size() : node.size);
  st.st_mtim = {.tv_sec = node.mtime_s, .tv_nsec = static_cast<long>(node.mtime_ns)};
  st.st_atim = st.st_ctim = st.st_mtim;
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) st.st_rdev = makedev(node.device_major, node.device_minor);
  return st;
}

std::optional<struct stat> TableLayer::lookup(const std::string& path) const {
  const std::uint32_t node = table_.find(path);
  if (node == LayerTable::kNone) return std::nullopt;
  return stat_of(node);
}

bool TableLayer::is_opaque(const std::string& path, const char*) const {
  const TableNode* node = find(path);
  return node != nullptr && node->opaque;
}

std::optional<std::vector<LayerTree::Child>> TableLayer::list(const std::string& path, const Wanted& wanted) const {
  const TableNode* directory = find(path);
  if (directory == nullptr || !directory->is_directory()) return std::nullopt;
  std::vector<Child> out;
  for (const auto& child : table_.children(*directory))
    if (wanted(child.name)) out.push_back({child.name, stat_of(child.node)});
  return out;
}

std::string TableLayer::read_link(const std::string& path) const {
  const TableNode& node = at(path);
  if (node.type != EntryType::symlink) throw Error(ErrorCode::input, cat("/", path, " is not a symbolic link"));
  return node.link_target;
}

std::vector<sys::Xattr> TableLayer::xattrs(const std::string& path) const { return at(path).xattrs; }

std::optional<Digest> TableLayer::content(const std::string& path) const {
  const TableNode& node = at(path);
  if (node.type == EntryType::file && node.size == 0) return sha256("");
  return node.content;
}

std::optional<UniqueFd> TableLayer::open_kept(const TableNode& node) const {
  if (node.type != EntryType::file || !node.content) return std::nullopt;
  const auto file = kept_->files.find(*node.content);
  if (file == kept_->files.end()) return std::nullopt;
  UniqueFd copy(::memfd_create("cbuild-kept-file", MFD_CLOEXEC));
  if (!copy) throw_errno(errno, "memfd");
  sys::write_all(copy.get(), file->second);
  if (::lseek(copy.get(), 0, SEEK_SET) != 0) throw_errno(errno, "seek");
  return copy;
}

std::optional<UniqueFd> TableLayer::open(const std::string& path, int flags) const {
  const TableNode* node = find(path);
  if (node == nullptr) return std::nullopt;
  if ((flags & (O_ACCMODE | O_PATH | O_DIRECTORY)) == O_RDONLY)
    if (auto file = open_kept(*node)) return file;
  return tree_for(path)->open(path, flags);
}

void TableLayer::bring(const std::vector<std::string>& files) const {
  const std::scoped_lock lock(mutex_);
  brought_ = with_files(files);
}

std::shared_ptr<const LayerTree> TableLayer::tree_for(const std::string& path) const {
  const std::scoped_lock lock(mutex_);
  if (brought_ && brought_->lookup(path)) return brought_;
  return with_files({path});
}

std::shared_ptr<const LayerTree> TableLayer::with_files(const std::vector<std::string>& files) const {
  if (parts_ && !whole_)
    if (auto tree = parts_->bring(files)) return tree;
  // A task of another reader, run by this thread while it waits for its own, would want the mutex too.
  tbb::this_task_arena::isolate([&] {
    if (!whole_) whole_ = bring_();
    if (parts_) check_files(*whole_, files);
  });
  return whole_;
}

void TableLayer::check_files(const LayerTree& tree, const std::vector<std::string>& files) const {
  tbb::parallel_for(std::size_t{0}, files.size(), [&](std::size_t i) {
    const std::uint32_t node = table_.find(files[i]);
    if (node == LayerTable::kNone || table_.nodes[node].type != EntryType::file) return;
    if (!is_as_told(tree, files[i], stat_of(node), table_.nodes[node]))
      throw Error(ErrorCode::missing_content,
                  cat("/", sanitize_for_terminal(files[i]), " is not what the layer's own table of contents says"));
  });
}

std::vector<std::string> TableLayer::list_names(const std::string& path) const {
  std::vector<std::string> out;
  if (const TableNode* directory = find(path); directory != nullptr && directory->is_directory())
    for (const auto& child : table_.children(*directory)) out.push_back(child.name);
  return out;
}

}  // namespace cbuild::cache
