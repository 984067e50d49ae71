// SPDX-License-Identifier: Apache-2.0
// A seal names the files of a layer's directory and what they hold: digests, and the inode and times under which a
// digest is believed without reading the file again. A file that looks different, as after the store was copied, is
// digested once more; other content means that the layer is damaged.
#include "cache/mounted_seal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/codec.h"
#include "cache/content/content_file.h"

namespace cbuild::cache {

namespace {

// A seal of the one kind has five texts, as stores of earlier versions have it.
constexpr std::string_view kArchiveVersion = "2", kContentsVersion = "3";
constexpr std::size_t kArchiveTexts = 5, kHeadTexts = 3, kFileTexts = 4;
constexpr std::size_t kMaxSeal = 1u << 16;

/// Content may get another name, of another layer, which changes the ctime.
std::string stat_text(Seal::Kind kind, int fd) {
  const struct stat st = sys::stat_fd(fd);
  std::string text = cat(st.st_size, ' ', st.st_ino, ' ', st.st_mtim.tv_sec, '.', st.st_mtim.tv_nsec);
  if (kind == Seal::Kind::archive) text += cat(' ', st.st_ctim.tv_sec, '.', st.st_ctim.tv_nsec);
  return text;
}

std::vector<std::string> texts_of(const Seal& seal) {
  if (seal.kind == Seal::Kind::archive) {
    const SealedFile& file = seal.files.at(0);
    return {std::string(kArchiveVersion), seal.image.str(), file.digest.str(), std::to_string(file.size), file.stat};
  }
  std::vector<std::string> texts{std::string(kContentsVersion), seal.image.str(), seal.places.str()};
  for (const SealedFile& file : seal.files)
    for (std::string text : {file.name, std::to_string(file.size), file.digest.str(), file.stat})
      texts.push_back(std::move(text));
  return texts;
}

std::optional<SealedFile> parse_file(std::string name, const std::string& size, const std::string& digest,
                                     std::string stat) {
  const auto bytes = parse_int(size);
  const auto parsed = Digest::parse(digest);
  if (!bytes || *bytes < 0 || !parsed || name.empty() || name.find('/') != std::string::npos) return std::nullopt;
  return SealedFile{std::move(name), static_cast<std::uint64_t>(*bytes), *parsed, std::move(stat)};
}

std::optional<Seal> parse_archive(const std::vector<std::string>& texts) {
  const auto image = Digest::parse(texts[1]);
  auto file = parse_file(kArchiveName, texts[3], texts[2], texts[4]);
  if (!image || !file) return std::nullopt;
  return Seal{Seal::Kind::archive, *image, {}, {std::move(*file)}};
}

std::optional<Seal> parse_contents(const std::vector<std::string>& texts) {
  const auto image = Digest::parse(texts[1]), places = Digest::parse(texts[2]);
  if (!image || !places) return std::nullopt;
  Seal seal{Seal::Kind::contents, *image, *places, {}};
  for (std::size_t i = kHeadTexts; i < texts.size(); i += kFileTexts) {
    auto file = parse_file(texts[i], texts[i + 1], texts[i + 2], texts[i + 3]);
    if (!file) return std::nullopt;
    seal.files.push_back(std::move(*file));
  }
  return seal;
}

/// Whether `file` has the content that was sealed; a new look of it is noted in `sealed`.
bool holds(Seal::Kind kind, SealedFile& sealed, int file, bool& changed) {
  std::string now = stat_text(kind, file);
  if (now == sealed.stat) return true;
  if (static_cast<std::uint64_t>(sys::stat_fd(file).st_size) != sealed.size) return false;
  const Digest digest =
      kind == Seal::Kind::archive ? digest_bytes(file, sealed.size) : digest_content(file, sealed.size);
  if (digest != sealed.digest) return false;
  sealed.stat = std::move(now);
  changed = true;
  return true;
}

}  // namespace

UniqueFd new_layer_file(int dirfd, const std::string& name) {
  return sys::open_at(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

void write_seal(int dirfd, const Seal& seal) {
  const std::string temporary = cat(kSealName, '.', ::getpid());
  sys::write_file_at(dirfd, temporary, encode_texts(texts_of(seal)));
  sys::rename_at(dirfd, temporary, dirfd, kSealName);
}

std::optional<Seal> read_seal(int dirfd) {
  const auto file = sys::try_open_at(dirfd, kSealName, O_RDONLY | O_NOFOLLOW);
  if (!file) return std::nullopt;
  const auto texts = decode_texts(sys::read_all(file->get(), kMaxSeal));
  if (texts.size() == kArchiveTexts && texts[0] == kArchiveVersion) return parse_archive(texts);
  const bool whole = texts.size() >= kHeadTexts && (texts.size() - kHeadTexts) % kFileTexts == 0;
  if (whole && texts[0] == kContentsVersion) return parse_contents(texts);
  return std::nullopt;
}

SealedFile seal_file(Seal::Kind kind, std::string name, int fd, const Digest& digest) {
  return {std::move(name), static_cast<std::uint64_t>(sys::stat_fd(fd).st_size), digest, stat_text(kind, fd)};
}

std::optional<std::vector<UniqueFd>> open_sealed(int dirfd, Seal seal) {
  std::vector<UniqueFd> files;
  bool changed = false;
  for (SealedFile& sealed : seal.files) {
    files.push_back(sys::open_at(dirfd, sealed.name, O_RDONLY | O_NOFOLLOW));
    if (!holds(seal.kind, sealed, files.back().get(), changed)) return std::nullopt;
  }
  if (!changed) return files;
  try {
    write_seal(dirfd, seal);
  } catch (const Error&) {
    // Another thread notes the same, or the next use digests it again.
  }
  return files;
}

Digest digest_bytes(int fd, std::uint64_t size) {
  Sha256 sha;
  std::string buffer(1u << 20, '\0');
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), size - at);
    const ssize_t got = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    sha.update(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
  }
  return sha.finish();
}

}  // namespace cbuild::cache
