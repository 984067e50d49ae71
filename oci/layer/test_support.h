// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "oci/blob_store.h"
#include "oci/layer/layer_table.h"
#include "oci/layer/tar_writer.h"

/// Shared by the tests and benches of this module.
namespace cbuild::oci::layer::test {

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A sink that collects.
ByteSink collect(std::string& out);

/// Blobs in memory. Thread-safe.
class MemoryBlobs final : public BlobStore {
 public:
  std::optional<std::uint64_t> size(const Digest& digest) override;
  UniqueFd open(const Digest& digest) override;
  std::unique_ptr<BlobWriter> create() override;
  std::string content(const Digest& digest);
  std::size_t count();

 private:
  friend class MemoryWriter;
  std::mutex mutex_;
  std::map<Digest, std::string> blobs_;
};

/// An open unnamed file that holds `content`, at offset 0.
UniqueFd memory_file(std::string_view content);

/// Deterministic bytes that compress about as well as program code does.
std::string mixed_bytes(std::size_t size, std::uint32_t seed = 1);
/// Deterministic bytes that do not compress.
std::string random_bytes(std::size_t size, std::uint32_t seed = 1);

/// Makes trees for tests, by path below one directory; parents are made on the way.
class TreeMaker {
 public:
  explicit TreeMaker(int rootfd) : rootfd_(rootfd) {}

  TreeMaker& dir(const std::string& path, mode_t mode = 0755);
  TreeMaker& file(const std::string& path, std::string_view content = "", mode_t mode = 0644);
  TreeMaker& symlink(const std::string& path, const std::string& target);
  TreeMaker& hardlink(const std::string& path, const std::string& target);
  TreeMaker& node(const std::string& path, mode_t type_and_mode, unsigned major = 0, unsigned minor = 0);
  TreeMaker& whiteout(const std::string& path);
  TreeMaker& sparse(const std::string& path, std::uint64_t size, std::uint64_t data_at, std::string_view data);
  TreeMaker& xattr(const std::string& path, const std::string& name, std::string_view value);
  TreeMaker& own(const std::string& path, unsigned uid, unsigned gid);
  TreeMaker& mtime(const std::string& path, std::int64_t seconds, long nanoseconds = 0);

 private:
  void parents(const std::string& path);
  int rootfd_;
};

/// One line an entry: path, type, mode, owner, size or target or device, mtime, xattrs, content digest, link group.
/// Sorted.
struct DescribeOptions {
  bool times = true;
  bool whole_seconds = false;
};
std::vector<std::string> describe_tree(int rootfd, const DescribeOptions& options = {});

/// A file capability as setcap writes it (cap_net_raw=ep, revision 2).
std::string capability_value();

/// An archive made with TarWriter. A file's size is taken from `content`.
struct Member {
  TarEntry entry;
  std::string content;
};
std::string make_tar(const std::vector<Member>& members);
Member file_member(std::string name, std::string content = "x", mode_t mode = 0644);
Member dir_member(std::string name, mode_t mode = 0755);
Member link_member(std::string name, std::string target, EntryType type = EntryType::symlink);

bool is_root();

/// The lines that describe_tree() gives for the tree of a table on disk, sorted; `archive` is uncompressed. With no
/// time where the archive does not say it.
std::vector<std::string> describe_table(const LayerTable& table, std::string_view archive);
/// Takes those times out of the lines of describe_tree() for the unpacked tree of `table`, and sorts.
std::vector<std::string> without_implied_times(const LayerTable& table, std::vector<std::string> lines);

/// Checks that the table of an archive, in any compression, is the tree that unpack() makes of it in an empty
/// directory, or that both refuse it; and that its encoding gives it back. As root; else it checks nothing.
void check_table(std::string_view archive, std::uint64_t max_bytes = 1ull << 42);

}  // namespace cbuild::oci::layer::test
