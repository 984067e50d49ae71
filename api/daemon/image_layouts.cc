// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/image_layouts.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using LayoutJson = nlohmann::json;

constexpr std::size_t kMostDocument = 16u << 20;
constexpr std::size_t kMostBlobs = 100'000;

/// Whether a blob of that type names others.
bool is_document(const std::string& media_type) {
  return media_type.ends_with("image.index.v1+json") || media_type.ends_with("image.manifest.v1+json") ||
         media_type.ends_with("manifest.list.v2+json") || media_type.ends_with("distribution.manifest.v2+json");
}

struct LayoutBlob {
  Digest digest;
  bool is_document = false;
};

/// What a manifest or an index names.
std::vector<LayoutBlob> children(const std::string& text) {
  std::vector<LayoutBlob> out;
  const LayoutJson json = LayoutJson::parse(text, nullptr, false);
  if (!json.is_object()) throw Error(ErrorCode::corrupt, "the client's image document is not a JSON object");
  const auto add = [&](const LayoutJson& entry) {
    const auto digest = entry.is_object() ? Digest::parse(entry.value("digest", std::string())) : std::nullopt;
    if (!digest) throw Error(ErrorCode::corrupt, "the client's image document has a descriptor without a digest");
    out.push_back({*digest, is_document(entry.value("mediaType", std::string()))});
  };
  for (const char* list : {"manifests", "layers"})
    if (const auto found = json.find(list); found != json.end() && found->is_array())
      for (const LayoutJson& entry : *found) add(entry);
  if (const auto config = json.find("config"); config != json.end()) add(*config);
  return out;
}

void fetch_blob(ContentStore& from, const Digest& digest, int directory) {
  const UniqueFd file = sys::open_at(directory, digest.hex(), O_WRONLY | O_CREAT | O_EXCL, 0644);
  Sha256 hash;
  from.read(digest, 0, 0, [&](std::string_view data) {
    hash.update(data);
    sys::write_all(file.get(), data);
  });
  if (hash.finish() != digest)
    throw Error(ErrorCode::corrupt, cat("the client's content ", digest.str(), " does not match its digest"));
}

}  // namespace

void fetch_layout(ContentStore& from, const Digest& top, const std::string& path) {
  sys::mkdir_all(AT_FDCWD, cat(path, "/blobs/sha256"), 0700);
  const UniqueFd root = sys::open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY);
  const UniqueFd blobs = sys::open_at(root.get(), "blobs/sha256", O_PATH | O_DIRECTORY);
  sys::write_file_at(root.get(), "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  const LayoutJson entry = {{"mediaType", "application/vnd.oci.image.index.v1+json"},
                            {"digest", top.str()},
                            {"size", from.size(top).value_or(0)}};
  const LayoutJson index = {{"schemaVersion", 2}, {"manifests", LayoutJson::array({entry})}};
  sys::write_file_at(root.get(), "index.json", index.dump());
  std::set<Digest> seen;
  std::vector<LayoutBlob> due = {{top, true}};
  while (!due.empty()) {
    const LayoutBlob blob = due.back();
    due.pop_back();
    if (!seen.insert(blob.digest).second) continue;
    if (seen.size() > kMostBlobs) throw Error(ErrorCode::input, "the client's image has too many blobs");
    fetch_blob(from, blob.digest, blobs.get());
    if (!blob.is_document) continue;
    const UniqueFd file = sys::open_at(blobs.get(), blob.digest.hex(), O_RDONLY);
    for (const LayoutBlob& child : children(sys::read_all(file.get(), kMostDocument))) due.push_back(child);
  }
}

void send_layout(const std::string& path, ContentStore& to) {
  UniqueFd opened = sys::open_at(AT_FDCWD, cat(path, "/blobs/sha256"), O_RDONLY | O_DIRECTORY);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(opened.get()), ::closedir);
  if (!directory) throw_errno(errno, path);
  const int fd = opened.release();
  while (const dirent* entry = ::readdir(directory.get())) {
    const auto digest = Digest::parse(cat("sha256:", entry->d_name));
    if (!digest) continue;
    const UniqueFd file = sys::open_at(fd, entry->d_name, O_RDONLY);
    const auto size = static_cast<std::uint64_t>(sys::stat_fd(file.get()).st_size);
    to.write(cat("cbuild-", digest->hex()), *digest, size, [&](std::span<std::byte> buffer) {
      const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
      if (got < 0) throw_errno(errno, entry->d_name);
      return static_cast<std::size_t>(got);
    });
  }
}

}  // namespace cbuild::api
