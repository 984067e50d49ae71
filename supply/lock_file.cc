// SPDX-License-Identifier: Apache-2.0
#include "supply/lock_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "oci/platform.h"

namespace cbuild::supply {
namespace {

using LockJson = nlohmann::ordered_json;

constexpr int kVersion = 1;
/// The keys of a source's name, by LockKind.
constexpr const char* kNameKeys[] = {"image", "url", "git"};

/// SHA-1 or SHA-256, as git names objects.
bool is_commit(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Reads one file; every failure names it.
class LockReader {
 public:
  explicit LockReader(const std::string& name) : name_(name) {}

  LockFile read(std::string_view text) const {
    const LockJson json = LockJson::parse(text, nullptr, false);
    if (!json.is_object()) refuse("it is not a JSON object");
    const auto version = json.find("version");
    if (version == json.end() || *version != kVersion) refuse(cat("its version is not ", kVersion));
    LockFile out;
    for (const LockJson& platform : list(json, "platforms")) {
      if (!platform.is_string() || !oci::parse_platform(platform.get<std::string>())) refuse("invalid platform");
      out.platforms.push_back(platform.get<std::string>());
    }
    for (const LockJson& entry : list(json, "sources")) {
      LockedSource source = read_source(entry);
      if (out.find(source.kind, source.name) != nullptr) refuse(cat(source.name, " is in it twice"));
      out.sources.push_back(std::move(source));
    }
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& message) const {
    throw Error(ErrorCode::input, cat("lock file ", name_, ": ", message));
  }

  LockJson list(const LockJson& json, const char* key) const {
    const auto found = json.find(key);
    if (found == json.end()) return LockJson::array();
    if (!found->is_array()) refuse(cat(key, " is not a list"));
    return *found;
  }

  std::string text(const LockJson& json, const char* key) const {
    const auto found = json.find(key);
    if (found == json.end()) return {};
    if (!found->is_string()) refuse(cat(key, " is not a string"));
    return found->get<std::string>();
  }

  LockedSource read_source(const LockJson& json) const {
    if (!json.is_object()) refuse("a source is not an object");
    LockedSource out;
    for (const LockKind kind : {LockKind::image, LockKind::url, LockKind::git}) {
      const std::string name = text(json, kNameKeys[static_cast<int>(kind)]);
      if (name.empty()) continue;
      if (!out.name.empty()) refuse(cat(name, " is more than one kind of source"));
      out.kind = kind;
      out.name = name;
    }
    if (out.name.empty()) refuse("a source has no name");
    const bool git = out.kind == LockKind::git;
    out.digest = text(json, git ? "commit" : "digest");
    out.ref = text(json, "ref");
    if (git ? !is_commit(out.digest) : !Digest::parse(out.digest))
      refuse(cat("invalid ", git ? "commit" : "digest", " of ", out.name));
    if (!out.ref.empty() && !out.ref.starts_with("refs/")) refuse(cat("invalid ref of ", out.name));
    return out;
  }

  const std::string& name_;
};

}  // namespace

const LockedSource* LockFile::find(LockKind kind, std::string_view name) const {
  const auto found =
      std::find_if(sources.begin(), sources.end(), [&](const auto& s) { return s.kind == kind && s.name == name; });
  return found == sources.end() ? nullptr : &*found;
}

LockFile parse_lock_file(std::string_view json, const std::string& name) { return LockReader(name).read(json); }

std::string to_json(const LockFile& lock) {
  LockJson out{{"version", kVersion}};
  if (!lock.platforms.empty()) out["platforms"] = lock.platforms;
  std::vector<LockedSource> sources = lock.sources;
  std::sort(sources.begin(), sources.end(),
            [](const auto& a, const auto& b) { return std::tie(a.kind, a.name) < std::tie(b.kind, b.name); });
  out["sources"] = LockJson::array();
  for (const LockedSource& source : sources) {
    LockJson entry{{kNameKeys[static_cast<int>(source.kind)], source.name}};
    if (!source.ref.empty()) entry["ref"] = source.ref;
    entry[source.kind == LockKind::git ? "commit" : "digest"] = source.digest;
    out["sources"].push_back(std::move(entry));
  }
  return out.dump(2, ' ', false, LockJson::error_handler_t::replace) + "\n";
}

std::string lock_name(const std::string& url, const std::string& ref) {
  const std::string place = without_user_info(url);
  return ref.empty() ? place : cat(place, "#", ref);
}

}  // namespace cbuild::supply
