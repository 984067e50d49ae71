// SPDX-License-Identifier: Apache-2.0
// File: Header, one DirectoryHeader for each directory sorted by path, the paths, then one block for each
// directory: its entries sorted by name, followed by their names (and 32 bytes of xattr digest after a name
// that has one). Numbers are native: the file never leaves the machine. The header's sum covers everything up
// to the first block, each block has its own.
#include "cache/content/stat_table.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>

#include "base/sys.h"

namespace cbuild::cache {

namespace {

constexpr std::uint64_t kMagic = 0x3130746174736263;  // "cbstat01"
constexpr std::uint16_t kHasXattrs = 1;
constexpr std::int64_t kClockStep = 20'000'000;  ///< file times are stamped by the timer tick, at worst every 10 ms
constexpr std::int64_t kCoarseClockStep = 2'000'000'000;  ///< where file times have no fraction (FAT: 2 s)

struct Header {
  std::uint64_t magic, file_size, directories, index_end, index_sum;
};
struct DirectoryHeader {
  std::uint64_t offset, sum;
  std::uint32_t size, count, path_offset, path_size;
};
struct Entry {
  StatId id;
  std::uint8_t content[32];
  std::uint32_t name_offset;  ///< in the block
  std::uint16_t name_size, flags;
};
static_assert(sizeof(Entry) == 80 && alignof(Entry) == 8 && sizeof(DirectoryHeader) == 32);

/// Guards against torn and flipped bytes, not against malice.
std::uint64_t checksum(const std::byte* data, std::size_t size) {
  constexpr std::uint64_t kPrime = 0x9E3779B97F4A7C15;
  std::uint64_t a = size, b = kPrime;
  std::uint64_t words[2];
  while (size >= sizeof words) {
    std::memcpy(words, data, sizeof words);
    a = (a ^ words[0]) * kPrime;
    b = (b ^ words[1]) * kPrime;
    a ^= a >> 29;
    b ^= b >> 31;
    data += sizeof words;
    size -= sizeof words;
  }
  for (; size > 0; --size, ++data) a = (a ^ static_cast<std::uint64_t>(*data)) * kPrime;
  return a ^ (b << 1) ^ (b >> 63);
}

template <typename T>
T read_at(const std::byte* data, std::size_t index = 0) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string_view as_text(const std::uint8_t* bytes) { return {reinterpret_cast<const char*>(bytes), 32}; }

Digest to_digest(const void* bytes) {
  Digest digest;
  std::memcpy(digest.bytes.data(), bytes, digest.bytes.size());
  return digest;
}

std::string encode_block(const std::vector<StatTable::Row>& rows) {
  std::string block, names;
  for (const auto& [name, cached] : rows) {
    Entry entry{cached.id,
                {},
                static_cast<std::uint32_t>(rows.size() * sizeof(Entry) + names.size()),
                static_cast<std::uint16_t>(name.size()),
                cached.xattrs.empty() ? std::uint16_t{0} : kHasXattrs};
    std::memcpy(entry.content, cached.content.bytes.data(), sizeof entry.content);
    append(block, entry);
    names += name;
    if (entry.flags != 0) names += as_text(cached.xattrs.bytes.data());
  }
  block += names;
  block.resize((block.size() + 7) / 8 * 8);
  return block;
}

/// Whether every name lies inside its block; the sum has been checked, so this only fails for a writer's bug.
bool names_fit(const std::byte* block, const DirectoryHeader& header) {
  if (header.count > header.size / sizeof(Entry)) return false;
  for (std::uint32_t i = 0; i < header.count; ++i) {
    const auto entry = read_at<Entry>(block, i);
    const std::uint64_t end = std::uint64_t{entry.name_offset} + entry.name_size + (entry.flags != 0 ? 32 : 0);
    if (end > header.size) return false;
  }
  return true;
}

std::int64_t to_ns(const struct timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

StatId stat_id(const struct stat& st) {
  return {st.st_dev, st.st_ino, static_cast<std::uint64_t>(st.st_size), to_ns(st.st_mtim), to_ns(st.st_ctim)};
}

bool is_settled(const StatId& id, std::int64_t now_ns) {
  const bool coarse = id.ctime_ns % 1'000'000'000 == 0;
  return id.ctime_ns + (coarse ? kCoarseClockStep : kClockStep) < now_ns;
}

struct StatTable::Mapping {
  const std::byte* data = nullptr;
  std::size_t size = 0;
  ~Mapping() {
    if (data != nullptr) ::munmap(const_cast<std::byte*>(data), size);
  }
  Header header() const { return read_at<Header>(data); }
  DirectoryHeader directory(std::size_t i) const { return read_at<DirectoryHeader>(data + sizeof(Header), i); }
  std::string_view path(const DirectoryHeader& d) const {
    return {reinterpret_cast<const char*>(data) + d.path_offset, d.path_size};
  }
  bool valid() const;
};

bool StatTable::Mapping::valid() const {
  if (size < sizeof(Header)) return false;
  const Header h = header();
  if (h.magic != kMagic || h.file_size != size || h.index_end > size || h.index_end < sizeof(Header)) return false;
  if (h.directories > (h.index_end - sizeof(Header)) / sizeof(DirectoryHeader)) return false;
  if (checksum(data + sizeof(Header), h.index_end - sizeof(Header)) != h.index_sum) return false;
  for (std::size_t i = 0; i < h.directories; ++i) {
    const DirectoryHeader d = directory(i);
    if (std::uint64_t{d.path_offset} + d.path_size > h.index_end || d.offset > size || d.size > size - d.offset)
      return false;
  }
  return true;
}

StatTable::StatTable() = default;
StatTable::~StatTable() = default;
StatTable::StatTable(StatTable&&) noexcept = default;
StatTable& StatTable::operator=(StatTable&&) noexcept = default;

StatTable StatTable::load(int dirfd, const std::string& name) {
  StatTable table;
  const auto file = sys::try_open_at(dirfd, name, O_RDONLY);
  if (!file) return table;
  const auto size = static_cast<std::size_t>(sys::stat_fd(file->get()).st_size);
  if (size < sizeof(Header)) return table;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file->get(), 0);
  if (data == MAP_FAILED) return table;
  auto mapping = std::make_unique<Mapping>();
  mapping->data = static_cast<const std::byte*>(data);
  mapping->size = size;
  if (mapping->valid()) table.mapping_ = std::move(mapping);
  return table;
}

void StatTable::write(int dirfd, const std::string& name, const Directories& directories) {
  std::string index, paths, blocks;
  const std::size_t paths_at = sizeof(Header) + directories.size() * sizeof(DirectoryHeader);
  std::size_t index_end = paths_at;
  for (const auto& [path, rows] : directories) index_end += path.size();
  index_end = (index_end + 7) / 8 * 8;
  for (const auto& [path, rows] : directories) {
    const std::string block = encode_block(rows);
    append(index, DirectoryHeader{index_end + blocks.size(),
                                  checksum(reinterpret_cast<const std::byte*>(block.data()), block.size()),
                                  static_cast<std::uint32_t>(block.size()), static_cast<std::uint32_t>(rows.size()),
                                  static_cast<std::uint32_t>(paths_at + paths.size()),
                                  static_cast<std::uint32_t>(path.size())});
    paths += path;
    blocks += block;
  }
  index += paths;
  index.resize(index_end - sizeof(Header));
  std::string out;
  out.reserve(index_end + blocks.size());
  append(out, Header{kMagic, index_end + blocks.size(), directories.size(), index_end,
                     checksum(reinterpret_cast<const std::byte*>(index.data()), index.size())});
  out += index;
  out += blocks;
  sys::write_file_at(dirfd, name, out, 0600);
}

StatTable::Block StatTable::directory(std::string_view path) const {
  if (!mapping_) return {};
  std::size_t low = 0, high = mapping_->header().directories;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (mapping_->path(mapping_->directory(middle)) < path)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == mapping_->header().directories) return {};
  const DirectoryHeader header = mapping_->directory(low);
  const std::byte* block = mapping_->data + header.offset;
  if (mapping_->path(header) != path || checksum(block, header.size) != header.sum || !names_fit(block, header))
    return {};
  return {block, header.count};
}

std::vector<std::string> StatTable::paths() const {
  std::vector<std::string> out;
  for (std::size_t i = 0; mapping_ && i < mapping_->header().directories; ++i) {
    out.emplace_back(mapping_->path(mapping_->directory(i)));
  }
  return out;
}

std::string_view StatTable::Block::name(std::size_t index) const {
  const auto entry = read_at<Entry>(data_, index);
  return {reinterpret_cast<const char*>(data_) + entry.name_offset, entry.name_size};
}

CachedDigest StatTable::Block::cached(std::size_t index) const {
  const auto entry = read_at<Entry>(data_, index);
  CachedDigest cached{entry.id, to_digest(entry.content), {}};
  if ((entry.flags & kHasXattrs) != 0) cached.xattrs = to_digest(data_ + entry.name_offset + entry.name_size);
  return cached;
}

std::optional<CachedDigest> StatTable::Block::find(std::string_view wanted, std::size_t& hint) const {
  if (hint < count_ && name(hint) == wanted) return cached(hint++);
  std::size_t low = 0, high = count_;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (name(middle) < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == count_ || name(low) != wanted) return std::nullopt;
  hint = low + 1;
  return cached(low);
}

std::vector<StatTable::Row> StatTable::Block::rows() const {
  std::vector<Row> out;
  for (std::size_t i = 0; i < count_; ++i) out.push_back({std::string(name(i)), cached(i)});
  return out;
}

}  // namespace cbuild::cache
