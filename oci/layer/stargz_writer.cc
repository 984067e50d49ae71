// SPDX-License-Identifier: Apache-2.0
// The archive is cut where a piece of a file begins; what is between a piece and the next one (padding, headers) stays
// with the piece before it. So every piece begins a gzip member, and its place in the blob is known once all members
// before it are compressed. Members are compressed in batches, each batch by all cores, and go out in order.
#include "oci/layer/stargz_writer.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "oci/compression/block_codec.h"
#include "oci/compression/task_group.h"
#include "oci/layer/entry_rules.h"
#include "oci/layer/foreign_toc.h"
#include "oci/layer/stargz_table.h"
#include "oci/table_annotations.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kMostHeaders = 4u << 20;  ///< behind a piece, before a member of their own begins
constexpr std::size_t kStargzBatch = 16u << 20, kStargzBatchMembers = 1024;
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

/// One gzip member.
struct GzipMember {
  RawBuffer input, output;
  StargzEntry* entry = nullptr;  ///< its piece is the one at `piece`
  std::size_t piece = 0, piece_size = 0;
  Digest digest = {};  ///< of the piece
};

/// The content of a file that is to come.
struct ComingContent {
  StargzEntry* entry;
  std::uint64_t at;
};

/// Compresses members in batches and gives them out in order.
class GzipMembers {
 public:
  GzipMembers(int level, ByteSink sink) : level_(level), sink_(std::move(sink)) {
    block_method(Compression::gzip, level);  // refuses a wrong one
  }

  /// Takes a member that is complete. One without a byte is none.
  void add(GzipMember member) {
    if (member.input.size() == 0) return;
    bytes_ += member.input.size();
    batch_.push_back(std::move(member));
    if (bytes_ >= kStargzBatch || batch_.size() >= kStargzBatchMembers) flush();
  }
  /// Gives out all members, and says in their entries where they are.
  void flush();
  /// Gives out bytes behind all that is flushed.
  void emit(std::span<const std::byte> bytes) {
    sink_(bytes);
    written_ += bytes.size();
  }
  std::uint64_t written() const { return written_; }

 private:
  void compress(GzipMember& member, BlockCodec& codec) const;
  void compress_all();

  const int level_;
  const ByteSink sink_;
  std::vector<GzipMember> batch_;
  std::size_t bytes_ = 0;      ///< of the batch, uncompressed
  std::uint64_t written_ = 0;  ///< bytes of the blob
  std::vector<BlockCodec> codecs_;
  TaskGroup tasks_;
};

void GzipMembers::compress(GzipMember& member, BlockCodec& codec) const {
  const std::span<const std::byte> bytes = member.input.content();
  StreamFrame frame(block_method(Compression::gzip, level_));
  frame.append_head(member.output);
  frame.add(codec.append(bytes, member.output), bytes.size());
  frame.append_tail(member.output);
  if (member.entry == nullptr) return;
  Sha256 hash;
  hash.update(bytes.first(member.piece_size));
  member.digest = hash.finish();
}

void GzipMembers::compress_all() {
  const std::size_t workers = std::min<std::size_t>(batch_.size(), TaskGroup::width());
  while (codecs_.size() < workers) codecs_.emplace_back(Compression::gzip, level_);
  std::atomic<std::size_t> next = 0, ended = 0;
  const auto work = [&](std::size_t worker) {
    for (std::size_t i = next++; i < batch_.size(); i = next++) compress(batch_[i], codecs_[worker]);
    ++ended;
  };
  if (workers == 1) return work(0);
  try {
    for (std::size_t worker = 0; worker < workers; ++worker) tasks_.post([&work, worker] { work(worker); });
    tasks_.help_until([&] { return ended == workers; });
  } catch (...) {
    tasks_.stop();
    throw;
  }
}

void GzipMembers::flush() {
  if (batch_.empty()) return;
  compress_all();
  for (const GzipMember& member : batch_) {
    if (member.entry != nullptr) {
      StargzPiece& piece = member.entry->pieces[member.piece];
      piece.blob_offset = written_;
      piece.digest = member.digest;
      if (piece.size == member.entry->member.entry.size) member.entry->content = member.digest;
    }
    emit(member.output.content());
  }
  batch_.clear();
  bytes_ = 0;
}

}  // namespace

struct StargzWriter::Impl {
  Impl(int level, ByteSink sink) : members(level, std::move(sink)) {}

  std::uint64_t next_cut();
  void cut();
  void begin_piece();
  void end_member() { members.add(std::exchange(open, {})); }
  void take(std::span<const std::byte> bytes);

  GzipMembers members;
  GzipMember open;
  Sha256 archive_hash, file_hash;
  std::uint64_t position = 0;  ///< in the archive
  StargzEntry* current = nullptr;
  std::uint64_t content_at = 0, content_end = 0;  ///< of the current file

  std::mutex mutex;                 ///< guards the members below
  std::deque<StargzEntry> entries;  ///< an entry belongs to write() once it is in `coming`
  std::deque<ComingContent> coming;
};

/// The next place in the archive where a gzip member has to begin, or a file ends.
std::uint64_t StargzWriter::Impl::next_cut() {
  if (position < content_end)
    return std::min(content_end, position + kStargzPiece - (position - content_at) % kStargzPiece);
  const std::scoped_lock lock(mutex);
  if (coming.empty()) return kNever;
  CBUILD_CHECK(coming.front().at >= position);
  return coming.front().at;
}

void StargzWriter::Impl::cut() {
  if (position != content_end || current == nullptr) return begin_piece();
  // Padding and headers follow in the same member.
  if (current->pieces.size() > 1) current->content = file_hash.finish();
  current = nullptr;
}

void StargzWriter::Impl::begin_piece() {
  end_member();
  if (current == nullptr) {
    const std::scoped_lock lock(mutex);
    current = coming.front().entry;
    content_at = position;
    content_end = position + current->member.entry.size;
    coming.pop_front();
    file_hash = Sha256();
  }
  StargzPiece piece;
  piece.file_offset = position - content_at;
  piece.size = std::min(kStargzPiece, content_end - position);
  open.entry = current;
  open.piece = current->pieces.size();
  open.piece_size = static_cast<std::size_t>(piece.size);
  current->pieces.push_back(piece);
}

void StargzWriter::Impl::take(std::span<const std::byte> bytes) {
  archive_hash.update(bytes);
  if (current != nullptr && current->member.entry.size > kStargzPiece) file_hash.update(bytes);
  if (open.input.size() > open.piece_size + kMostHeaders && current == nullptr) end_member();
  const std::size_t needed = open.input.size() + bytes.size();
  if (open.input.room().size() < bytes.size()) open.input.reserve(std::max(needed, 2 * open.input.size()));
  open.input.append(bytes);
  position += bytes.size();
}

StargzWriter::StargzWriter(int level, ByteSink sink) : impl_(std::make_unique<Impl>(level, std::move(sink))) {}
StargzWriter::~StargzWriter() = default;

void StargzWriter::add(const TarMember& member, std::uint64_t content_at) {
  if (clean_member_name(member.entry.name) == kStargzName)
    throw Error(ErrorCode::unsupported, cat("a layer with a file ", kStargzName, " cannot be estargz"))
        .with_hint("the format keeps its table of contents under this name");
  const std::scoped_lock lock(impl_->mutex);
  StargzEntry& entry = impl_->entries.emplace_back();
  entry.member = member;
  const bool file = member.entry.type == EntryType::file;
  if (file && member.has_data && member.entry.size > 0)
    impl_->coming.push_back({&entry, content_at});
  else if (file)
    entry.content = sha256("");
}

void StargzWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::uint64_t next = impl_->next_cut();
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), next - impl_->position));
    impl_->take(bytes.first(count));
    bytes = bytes.subspan(count);
    if (impl_->position == next) impl_->cut();
  }
}

StargzBlob StargzWriter::finish() {
  Impl& impl = *impl_;
  impl.end_member();
  impl.members.flush();
  if (impl.current != nullptr || !impl.coming.empty())
    throw Error(ErrorCode::corrupt, "the archive ends within a file");
  const std::string table = stargz_table(impl.entries);
  const std::uint64_t table_at = impl.members.written();
  std::string archive;
  TarWriter tar([&](std::span<const std::byte> bytes) {
    archive.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  TarEntry header;
  header.name = kStargzName;
  header.size = table.size();
  tar.entry(header);
  tar.data(std::as_bytes(std::span(table)));
  tar.finish();
  impl.take(std::as_bytes(std::span(archive)));
  impl.end_member();
  impl.members.flush();
  const std::string footer = stargz_footer(table_at);
  impl.members.emit(std::as_bytes(std::span(footer)));
  return {
      impl.archive_hash.finish(),
      impl.position,
      {{std::string(kStargzTable), sha256(table).str()}, {std::string(kStargzSize), std::to_string(impl.position)}}};
}

}  // namespace cbuild::oci::layer
