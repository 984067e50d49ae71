// SPDX-License-Identifier: Apache-2.0
// Small files are gathered in a section's buffer and written at once, so a thousand of them cost a few calls. A piece
// that does not fit into the rest of a section begins a new one; a large one has several in a row. The unused end of a
// section is a hole.
#include "cache/content/content_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/sys.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kSectionSize = ContentFile::kSection;

Digest digest_of_sections(const std::vector<Digest>& sections) {
  CanonicalWriter out;
  out.text("content sections");
  for (const Digest& section : sections) out.digest(section);
  return out.hash();
}

}  // namespace

std::size_t ContentFile::take_sections(std::size_t count) {
  const std::scoped_lock lock(mutex_);
  digests_.resize(digests_.size() + count);
  return digests_.size() - count;
}

void ContentFile::write_section(std::size_t index, std::span<const std::byte> whole, std::size_t used) {
  const Digest digest = Sha256().update(whole).finish();
  sys::pwrite_all(file_.get(), {reinterpret_cast<const char*>(whole.data()), used},
                  static_cast<off_t>(index * kSectionSize));
  const std::scoped_lock lock(mutex_);
  digests_[index] = digest;
}

ContentFile::Written ContentFile::finish() {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t size = digests_.size() * kSectionSize;
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) throw_errno(errno, "write the content of a layer");
  return {size, digest_of_sections(digests_)};
}

ContentAppender::ContentAppender(ContentFile& file)
    : file_(file), buffer_(std::make_unique_for_overwrite<std::byte[]>(kSectionSize)) {}

std::uint64_t ContentAppender::begin(std::uint64_t size) {
  CBUILD_CHECK(left_ == 0);
  const std::size_t at = ContentFile::whole_blocks(used_);
  if (at >= kSectionSize || size > kSectionSize - at) {
    flush();
    section_ = file_.take_sections(std::max<std::size_t>(1, (size + kSectionSize - 1) / kSectionSize));
    used_ = 0;
  } else {
    std::memset(buffer_.get() + used_, 0, at - used_);
    used_ = at;
  }
  left_ = size;
  return section_ * kSectionSize + used_;
}

std::span<std::byte> ContentAppender::room() {
  if (used_ == kSectionSize) {
    file_.write_section(section_, {buffer_.get(), kSectionSize}, kSectionSize);
    ++section_;
    used_ = 0;
  }
  return {buffer_.get() + used_, static_cast<std::size_t>(std::min<std::uint64_t>(kSectionSize - used_, left_))};
}

void ContentAppender::advance(std::size_t count) {
  CBUILD_CHECK(count <= left_);
  used_ += count;
  left_ -= count;
}

std::uint64_t ContentAppender::append(std::string_view bytes) {
  const std::uint64_t at = begin(bytes.size());
  while (!bytes.empty()) {
    const std::span<std::byte> space = room();
    const std::size_t count = bytes.copy(reinterpret_cast<char*>(space.data()), space.size());
    advance(count);
    bytes.remove_prefix(count);
  }
  return at;
}

void ContentAppender::flush() {
  if (section_ == kNone) return;
  CBUILD_CHECK(left_ == 0);
  std::memset(buffer_.get() + used_, 0, kSectionSize - used_);
  file_.write_section(section_, {buffer_.get(), kSectionSize}, used_);
  section_ = kNone;
  used_ = kSectionSize;
}

Digest digest_content(int fd, std::uint64_t size) {
  if (size % kSectionSize != 0) return {};
  std::vector<Digest> sections;
  std::string buffer(kSectionSize, '\0');
  for (std::uint64_t at = 0; at < size; at += kSectionSize) {
    const auto section = std::as_writable_bytes(std::span(buffer));
    if (sys::pread_all(fd, section, at, "read the content of a layer") < section.size()) return {};
    sections.push_back(sha256(buffer));
  }
  return digest_of_sections(sections);
}

}  // namespace cbuild::cache
