// SPDX-License-Identifier: Apache-2.0
// Helpers for tests of layers: blobs in memory, reproducible bytes that compress badly or well, trees made by a chain
// of calls, archives made of a list of members. describe_tree() writes everything a layer should preserve as one line
// for each entry, so that two trees are compared as lists of text.
#include "oci/layer/test_support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/layer/tree_walk.h"

namespace cbuild::oci::layer::test {

ByteSink collect(std::string& out) {
  return [&out](std::span<const std::byte> bytes) { out += text_of(bytes); };
}

class MemoryWriter final : public BlobWriter {
 public:
  explicit MemoryWriter(MemoryBlobs& store) : store_(store) {}
  void write(std::span<const std::byte> data) override {
    sha_.update(data);
    content_ += text_of(data);
  }
  Digest commit(const Digest& expected, std::optional<std::uint64_t> expected_size) override {
    const Digest digest = sha_.finish();
    if ((!expected.empty() && expected != digest) || expected_size.value_or(content_.size()) != content_.size())
      throw Error(ErrorCode::corrupt, "the blob is another one than expected");
    const std::scoped_lock lock(store_.mutex_);
    store_.blobs_[digest] = std::move(content_);
    return digest;
  }

 private:
  MemoryBlobs& store_;
  Sha256 sha_;
  std::string content_;
};

std::optional<std::uint64_t> MemoryBlobs::size(const Digest& digest) {
  const std::scoped_lock lock(mutex_);
  const auto at = blobs_.find(digest);
  return at == blobs_.end() ? std::nullopt : std::optional<std::uint64_t>(at->second.size());
}

UniqueFd MemoryBlobs::open(const Digest& digest) { return memory_file(content(digest)); }
std::unique_ptr<BlobWriter> MemoryBlobs::create() { return std::make_unique<MemoryWriter>(*this); }

std::string MemoryBlobs::content(const Digest& digest) {
  const std::scoped_lock lock(mutex_);
  const auto at = blobs_.find(digest);
  if (at == blobs_.end()) throw Error(ErrorCode::not_found, "no blob " + digest.str() + " in memory");
  return at->second;
}

std::size_t MemoryBlobs::count() {
  const std::scoped_lock lock(mutex_);
  return blobs_.size();
}

UniqueFd memory_file(std::string_view content) {
  UniqueFd fd(memfd_create("cbuild-test", MFD_CLOEXEC));
  if (!fd) throw_errno(errno, "memfd");
  sys::write_all(fd.get(), content);
  lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string random_bytes(std::size_t size, std::uint32_t seed) {
  std::string out(size, '\0');
  std::uint64_t state = 0x9e3779b97f4a7c15u * (seed + 1);
  for (char& c : out) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    c = static_cast<char>(state >> 56);
  }
  return out;
}

std::string mixed_bytes(std::size_t size, std::uint32_t seed) {
  const std::string noise = random_bytes(size / 4 + 16, seed);
  std::string out;
  out.reserve(size + 64);
  for (std::size_t i = 0; out.size() < size; i = (i + 11) % (noise.size() - 16)) {
    out.append(noise, i, 12);
    out += "mov rax, qword ptr [rip + ";
    out += std::to_string(i % 97);
    out += "]\n";
  }
  out.resize(size);
  return out;
}

void TreeMaker::parents(const std::string& path) {
  if (const std::string parent = dir_name(path); parent != ".") sys::mkdir_all(rootfd_, parent, 0755);
}

TreeMaker& TreeMaker::dir(const std::string& path, mode_t mode) {
  sys::mkdir_all(rootfd_, path, 0755);
  if (fchmodat(rootfd_, path.c_str(), mode, 0) != 0) throw_errno(errno, path);
  return *this;
}

TreeMaker& TreeMaker::file(const std::string& path, std::string_view content, mode_t mode) {
  parents(path);
  const UniqueFd fd = sys::open_at(rootfd_, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  sys::write_all(fd.get(), content);
  if (fchmod(fd.get(), mode) != 0) throw_errno(errno, path);
  return *this;
}

TreeMaker& TreeMaker::symlink(const std::string& path, const std::string& target) {
  parents(path);
  if (symlinkat(target.c_str(), rootfd_, path.c_str()) != 0) throw_errno(errno, path);
  return *this;
}

TreeMaker& TreeMaker::hardlink(const std::string& path, const std::string& target) {
  parents(path);
  if (linkat(rootfd_, target.c_str(), rootfd_, path.c_str(), 0) != 0) throw_errno(errno, path);
  return *this;
}

TreeMaker& TreeMaker::node(const std::string& path, mode_t type_and_mode, unsigned major, unsigned minor) {
  parents(path);
  if (mknodat(rootfd_, path.c_str(), type_and_mode, makedev(major, minor)) != 0) throw_errno(errno, path);
  return *this;
}

TreeMaker& TreeMaker::whiteout(const std::string& path) { return node(path, S_IFCHR, 0, 0); }

TreeMaker& TreeMaker::sparse(const std::string& path, std::uint64_t size, std::uint64_t data_at,
                             std::string_view data) {
  file(path);
  const UniqueFd fd = sys::open_at(rootfd_, path, O_WRONLY);
  sys::pwrite_all(fd.get(), data, static_cast<off_t>(data_at));
  if (ftruncate(fd.get(), static_cast<off_t>(size)) != 0) throw_errno(errno, path);
  return *this;
}

TreeMaker& TreeMaker::xattr(const std::string& path, const std::string& name, std::string_view value) {
  const UniqueFd parent = sys::open_at(rootfd_, dir_name(path), O_RDONLY | O_DIRECTORY);
  if (!sys::set_xattr_at(parent.get(), base_name(path), {name, std::string(value)})) {
    throw Error(ErrorCode::unsupported, cat(path, ": cannot set ", name));
  }
  return *this;
}

TreeMaker& TreeMaker::own(const std::string& path, unsigned uid, unsigned gid) {
  if (fchownat(rootfd_, path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, path);
  return *this;
}

TreeMaker& TreeMaker::mtime(const std::string& path, std::int64_t seconds, long nanoseconds) {
  const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  if (utimensat(rootfd_, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, path);
  return *this;
}

namespace {

std::string describe(int rootfd, const WalkEntry& entry, const DescribeOptions& options,
                     std::map<std::uint64_t, std::string>& links) {
  const struct stat st = sys::stat_at(rootfd, entry.path);
  std::string line = cat(entry.path, " ", st.st_mode, " ", st.st_uid, ":", st.st_gid);
  if (options.times) {
    line += cat(" mtime ", st.st_mtim.tv_sec, ".", options.whole_seconds ? 0 : st.st_mtim.tv_nsec);
  }
  if (S_ISREG(st.st_mode)) {
    const UniqueFd fd = sys::open_at(rootfd, entry.path, O_RDONLY);
    line += cat(" size ", st.st_size, " ", sha256_fd(fd.get()).hex());
  }
  if (S_ISLNK(st.st_mode)) line += cat(" -> ", sys::readlink_at(rootfd, entry.path));
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) line += cat(" dev ", st.st_rdev);
  if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
    line += cat(" = ", links.try_emplace(st.st_ino, entry.path).first->second);
  for (const sys::Xattr& xattr : sys::list_xattrs_at(entry.parent->get(), entry.name())) {
    if (xattr.name != "security.selinux") line += cat(" ", xattr.name, "=", go_quote(xattr.value));
  }
  return line;
}

}  // namespace

std::vector<std::string> describe_tree(int rootfd, const DescribeOptions& options) {
  std::vector<std::string> lines;
  std::map<std::uint64_t, std::string> links;
  TreeWalk walk(rootfd);
  for (WalkEntry entry; walk.next(entry);) lines.push_back(describe(rootfd, entry, options, links));
  return lines;
}

std::string capability_value() {
  return std::string("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
}

std::string make_tar(const std::vector<Member>& members) {
  std::string out;
  TarWriter writer(collect(out));
  for (Member member : members) {
    member.entry.size = member.entry.type == EntryType::file ? member.content.size() : 0;
    writer.entry(member.entry);
    if (member.entry.size > 0) writer.data(bytes_of(member.content));
  }
  writer.finish();
  return out;
}

Member file_member(std::string name, std::string content, mode_t mode) {
  Member member;
  member.entry.name = std::move(name);
  member.entry.mode = mode;
  member.content = std::move(content);
  return member;
}

Member dir_member(std::string name, mode_t mode) {
  Member member;
  member.entry.name = std::move(name);
  member.entry.mode = mode;
  member.entry.type = EntryType::directory;
  return member;
}

Member link_member(std::string name, std::string target, EntryType type) {
  Member member;
  member.entry.name = std::move(name);
  member.entry.link_target = std::move(target);
  member.entry.mode = 0777;
  member.entry.type = type;
  return member;
}

bool is_root() { return geteuid() == 0; }

}  // namespace cbuild::oci::layer::test
