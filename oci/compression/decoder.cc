// SPDX-License-Identifier: Apache-2.0
// gzip, the encoding of nearly all layers, is inflated by ISA-L: as a stream it is twice as fast as zlib (libdeflate is
// a little faster still, but wants the whole blob and the whole tar in memory). bzip2 and xz come from ADD only and go
// through libarchive's filters.
#include "oci/compression/decoder.h"

#include <archive.h>
#include <archive_entry.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kMagicSize = 6;

[[noreturn]] void throw_cut() { throw Error(ErrorCode::corrupt, "the compressed data ends early"); }

class PlainDecoder {
 public:
  explicit PlainDecoder(SourceReader& source) : source_(&source) {}

  std::size_t read(std::span<std::byte> room) {
    std::size_t done = 0;
    while (done < room.size()) {
      const std::size_t got = source_->read(room.subspan(done));
      if (got == 0) break;
      done += got;
    }
    return done;
  }

 private:
  SourceReader* source_;
};

class GzipDecoder {
 public:
  explicit GzipDecoder(SourceReader& source) : source_(&source) { begin_member(); }

  std::size_t read(std::span<std::byte> room) {
    std::size_t done = 0;
    while (done < room.size() && !ended_) {
      const bool starved = state_->avail_in == 0 && !refill();
      const std::size_t made = inflate(room.subspan(done));
      done += made;
      if (state_->block_state == ISAL_BLOCK_FINISH) {
        end_member();
      } else if (starved && made == 0) {
        throw_cut();
      }
    }
    return done;
  }

 private:
  void begin_member() {
    isal_inflate_reset(state_.get());
    state_->crc_flag = ISAL_GZIP;
  }

  bool refill() {
    const std::span<const std::byte> input = source_->next();
    state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(input.data()));  // only read
    state_->avail_in = static_cast<std::uint32_t>(input.size());
    return !input.empty();
  }

  std::size_t inflate(std::span<std::byte> room) {
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(room.size(), 1u << 30));
    state_->next_out = reinterpret_cast<std::uint8_t*>(room.data());
    state_->avail_out = size;
    const int result = isal_inflate(state_.get());
    if (result < 0) throw Error(ErrorCode::corrupt, cat("broken gzip data (", result, ")"));
    return size - state_->avail_out;
  }

  /// Another member follows, or the end, or bytes that are not gzip and are not ours.
  void end_member() {
    if (state_->avail_in == 0 && !refill()) {
      ended_ = true;
      return;
    }
    constexpr std::uint8_t kMagic = 0x1f;
    ended_ = *state_->next_in != kMagic;
    if (!ended_) begin_member();
  }

  SourceReader* source_;
  std::unique_ptr<inflate_state> state_ = std::make_unique<inflate_state>();
  bool ended_ = false;
};

class ZstdDecoder {
 public:
  explicit ZstdDecoder(SourceReader& source) : source_(&source), stream_(ZSTD_createDStream()) {
    if (!stream_) throw std::bad_alloc();
  }

  std::size_t read(std::span<std::byte> room) {
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    while (out.pos < out.size && !ended_) {
      if (in_.pos == in_.size) {
        const std::span<const std::byte> input = source_->next();
        in_ = {input.data(), input.size(), 0};
        if (input.empty() && between_frames_) break;
      }
      step(out);
    }
    return out.pos;
  }

 private:
  void step(ZSTD_outBuffer& out) {
    const std::size_t in_before = in_.pos, out_before = out.pos;
    const std::size_t hint = ZSTD_decompressStream(stream_.get(), &out, &in_);
    if (ZSTD_isError(hint)) {
      // Bytes behind the last frame that begin no frame are not ours.
      ended_ = between_frames_ && any_frame_ && ZSTD_getErrorCode(hint) == ZSTD_error_prefix_unknown;
      if (ended_) return;
      throw Error(ErrorCode::corrupt, cat("broken zstd data: ", ZSTD_getErrorName(hint)));
    }
    if (hint != 0 && in_.size == 0 && out.pos == out_before && in_.pos == in_before) throw_cut();
    between_frames_ = hint == 0;
    any_frame_ |= between_frames_;
  }

  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  SourceReader* source_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool between_frames_ = true, any_frame_ = false, ended_ = false;
};

class FilterDecoder {
 public:
  explicit FilterDecoder(SourceReader& source)
      : feed_(std::make_unique<Feed>(Feed{&source, nullptr})), archive_(archive_read_new()) {
    if (!archive_) throw std::bad_alloc();
    archive_read_support_filter_bzip2(archive_.get());
    archive_read_support_filter_xz(archive_.get());
    archive_read_support_format_raw(archive_.get());
    archive_entry* entry = nullptr;
    check(archive_read_open(archive_.get(), feed_.get(), nullptr, &pull, nullptr));
    const int result = archive_read_next_header(archive_.get(), &entry);
    ended_ = result == ARCHIVE_EOF;
    if (!ended_) check(result);
  }

  std::size_t read(std::span<std::byte> room) {
    std::size_t done = 0;
    while (done < room.size() && !ended_) {
      const la_ssize_t got = archive_read_data(archive_.get(), room.data() + done, room.size() - done);
      if (got < 0) check(static_cast<int>(got));
      ended_ = got == 0;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  struct Feed {
    SourceReader* source;
    std::exception_ptr error;
  };

  /// Exceptions do not cross libarchive: they wait in the feed.
  static la_ssize_t pull(archive* handle, void* context, const void** bytes) {
    auto* feed = static_cast<Feed*>(context);
    try {
      const std::span<const std::byte> input = feed->source->next();
      *bytes = input.data();
      return static_cast<la_ssize_t>(input.size());
    } catch (...) {
      feed->error = std::current_exception();
      archive_set_error(handle, EIO, "source failed");
      return ARCHIVE_FATAL;
    }
  }

  void check(int result) {
    if (feed_->error) std::rethrow_exception(std::exchange(feed_->error, nullptr));
    if (result == ARCHIVE_OK) return;
    const char* text = archive_error_string(archive_.get());
    throw Error(ErrorCode::corrupt, cat("broken compressed data: ", text ? text : "unknown"));
  }

  struct Free {
    void operator()(archive* handle) const { archive_read_free(handle); }
  };
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<archive, Free> archive_;
  bool ended_ = false;
};

using AnyDecoder = std::variant<PlainDecoder, GzipDecoder, ZstdDecoder, FilterDecoder>;

AnyDecoder make_decoder(SourceReader& source) {
  switch (detect_encoding(source.peek(kMagicSize))) {
    case Encoding::gzip:
      return GzipDecoder(source);
    case Encoding::zstd:
      return ZstdDecoder(source);
    case Encoding::bzip2:
    case Encoding::xz:
      return FilterDecoder(source);
    case Encoding::plain:
      break;
  }
  return PlainDecoder(source);
}

}  // namespace

Encoding detect_encoding(std::span<const std::byte> head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  using namespace std::string_view_literals;
  if (text.starts_with("\x1f\x8b\x08"sv)) return Encoding::gzip;
  if (text.starts_with("\x28\xb5\x2f\xfd"sv)) return Encoding::zstd;
  if (text.starts_with("BZh"sv)) return Encoding::bzip2;
  if (text.starts_with("\xfd"
                       "7zXZ\0"sv))
    return Encoding::xz;
  // RFC 8878, 3.1.2: skippable frames may stand before the first one.
  const bool skippable = text.size() >= 4 && (text[0] & '\xf0') == '\x50' && text.substr(1, 3) == "\x2a\x4d\x18"sv;
  return skippable ? Encoding::zstd : Encoding::plain;
}

struct Decoder::Impl {
  AnyDecoder decoder;
};

Decoder::Decoder(SourceReader& source) : impl_(new Impl{make_decoder(source)}) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

bool Decoder::is_plain() const { return std::holds_alternative<PlainDecoder>(impl_->decoder); }

std::size_t Decoder::read(std::span<std::byte> room) {
  return std::visit([room](auto& decoder) { return decoder.read(room); }, impl_->decoder);
}

}  // namespace cbuild::oci::layer
