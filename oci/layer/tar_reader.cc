// SPDX-License-Identifier: Apache-2.0
// Two habits of libarchive have to be worked around (3.6 to 3.8):
// - Names in PAX records are converted from UTF-8 to the locale's character set. Where that fails (always in the C
//   locale), the bytes are kept and the call warns. The warning is taken for what it is; any other one means that
//   something was not understood, which in a layer is an error.
// - The first link whose ustar field is empty, as Go writes targets without any ASCII character, loses its target,
//   because a string of libarchive's was never allocated. A symlink member put in front of the stream allocates it.
#include "oci/layer/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "oci/layer/entry_rules.h"

namespace cbuild::oci::layer {
namespace {

/// A ustar symlink "x" -> "y".
std::vector<std::byte> primer() {
  std::vector<std::byte> block;
  TarWriter writer(
      [&block](std::span<const std::byte> bytes) { block.insert(block.end(), bytes.begin(), bytes.end()); });
  TarEntry link;
  link.name = "x";
  link.link_target = "y";
  link.type = EntryType::symlink;
  writer.entry(link);
  return block;
}

bool is_harmless(std::string_view warning) {
  return warning.find("can't be converted") != std::string_view::npos ||
         warning.find("SCHILY.acl") != std::string_view::npos;
}

struct Free {
  void operator()(archive* handle) const { archive_read_free(handle); }
};

std::string text_or_empty(const char* text) { return text ? text : ""; }

EntryType type_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry)) return EntryType::hardlink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return EntryType::file;
    case AE_IFDIR:
      return EntryType::directory;
    case AE_IFLNK:
      return EntryType::symlink;
    case AE_IFIFO:
      return EntryType::fifo;
    case AE_IFCHR:
      return EntryType::char_device;
    case AE_IFBLK:
      return EntryType::block_device;
    default:
      throw Error(ErrorCode::corrupt, "unknown type of entry");
  }
}

std::vector<sys::Xattr> xattrs_of(archive_entry* entry) {
  std::vector<sys::Xattr> out;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  archive_entry_xattr_reset(entry);
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    out.push_back({text_or_empty(name), size > 0 ? std::string(static_cast<const char*>(value), size) : std::string()});
  }
  std::sort(out.begin(), out.end());
  return out;
}

void take(TarMember& out, archive_entry* from) {
  TarEntry& entry = out.entry;
  entry.type = type_of(from);
  const char* target = entry.type == EntryType::hardlink ? archive_entry_hardlink(from) : archive_entry_symlink(from);
  entry.link_target = text_or_empty(target);
  entry.mode = archive_entry_perm(from) & 07777;
  set_owner(entry, archive_entry_uid(from), archive_entry_gid(from));
  entry.size = static_cast<std::uint64_t>(std::max<std::int64_t>(archive_entry_size(from), 0));
  entry.mtime_s = archive_entry_mtime(from);
  out.mtime_ns = std::clamp<std::int64_t>(archive_entry_mtime_nsec(from), 0, 999'999'999);
  entry.xattrs = xattrs_of(from);
  set_device(entry, archive_entry_rdevmajor(from), archive_entry_rdevminor(from));
  out.has_data = entry.size > 0;
}

}  // namespace

struct TarReader::Impl {
  Impl(Pull pull_in, Keep keep_in)
      : pull(std::move(pull_in)), keep(std::move(keep_in)), handle(archive_read_new()), first(primer()) {
    if (!handle) throw std::bad_alloc();
    archive_read_support_format_tar(handle.get());
  }

  /// Exceptions do not cross libarchive: they wait in `error`.
  static la_ssize_t feed(archive* handle, void* context, const void** bytes) {
    auto* self = static_cast<Impl*>(context);
    try {
      const std::span<const std::byte> input = self->primed ? self->pull() : std::span<const std::byte>(self->first);
      self->primed = true;
      *bytes = input.data();
      return static_cast<la_ssize_t>(input.size());
    } catch (...) {
      self->error = std::current_exception();
      archive_set_error(handle, EIO, "source failed");
      return ARCHIVE_FATAL;
    }
  }

  void check(int result) {
    if (error) std::rethrow_exception(std::exchange(error, nullptr));
    if (result == ARCHIVE_OK) return;
    const std::string text = text_or_empty(archive_error_string(handle.get()));
    if (result == ARCHIVE_WARN && is_harmless(text)) return;
    throw Error(ErrorCode::corrupt, cat("broken tar: ", text.empty() ? "unknown error" : text));
  }

  /// False at the end.
  bool read_header() {
    const int result = archive_read_next_header(handle.get(), &current);
    if (!error && result == ARCHIVE_EOF) return false;
    check(result);
    return true;
  }

  Pull pull;
  Keep keep;
  std::unique_ptr<archive, Free> handle;
  std::vector<std::byte> first;
  archive_entry* current = nullptr;
  std::uint64_t size = 0, end = 0;  ///< of the current member, and of its data so far
  std::exception_ptr error;
  bool primed = false, opened = false;
};

TarReader::TarReader(Pull pull, Keep keep) : impl_(std::make_unique<Impl>(std::move(pull), std::move(keep))) {}
TarReader::~TarReader() = default;

bool TarReader::next(TarMember& member) {
  if (!std::exchange(impl_->opened, true)) {
    impl_->check(archive_read_open(impl_->handle.get(), impl_.get(), nullptr, &Impl::feed, nullptr));
    impl_->read_header();  // the primer
  }
  if (!impl_->read_header()) return false;
  impl_->end = 0;
  member.entry.name = text_or_empty(archive_entry_pathname(impl_->current));
  try {
    take(member, impl_->current);
  } catch (Error& error) {
    throw error.add_context(sanitize_for_terminal(member.entry.name));
  }
  impl_->size = member.entry.size;
  return true;
}

std::shared_ptr<const void> TarReader::keep(std::span<const std::byte> piece) {
  return impl_->keep ? impl_->keep(piece) : nullptr;
}

bool TarReader::data(std::span<const std::byte>& bytes, std::uint64_t& offset) {
  const void* block = nullptr;
  std::size_t size = 0;
  la_int64_t at = 0;
  const int result = archive_read_data_block(impl_->handle.get(), &block, &size, &at);
  if (!impl_->error && result == ARCHIVE_EOF) return false;
  impl_->check(result);
  bytes = {static_cast<const std::byte*>(block), size};
  offset = static_cast<std::uint64_t>(at);
  // libarchive takes a sparse map as it is written: backwards, overlapping, or longer than the file.
  if (offset < impl_->end || offset > impl_->size || size > impl_->size - offset)
    throw Error(ErrorCode::corrupt, "broken tar: a sparse map that does not fit its file");
  impl_->end = offset + size;
  return true;
}

std::uint64_t TarReader::position() const {
  // The piece counts as read when the next one is asked for.
  return static_cast<std::uint64_t>(archive_filter_bytes(impl_->handle.get(), 0)) - impl_->first.size();
}

}  // namespace cbuild::oci::layer
