// SPDX-License-Identifier: Apache-2.0
// The keys of --cache-from and --cache-to: those that no backend sees are here, with members of their own; those of a
// backend are in its row (backend.h), are checked there and stay text.
#include "cache/remote/cache_flag.h"

#include <algorithm>
#include <span>

#include "base/csv.h"
#include "base/error.h"
#include "base/process/environment.h"
#include "base/text.h"
#include "base/words.h"
#include "cache/remote/backend.h"
#include "oci/compression_words.h"

namespace cbuild::cache {
namespace {

struct CommonKey {
  std::string_view name;
  void (*set)(CacheSpec& spec, const CacheFlag& flag, const std::string& value);
  std::optional<CacheUse> use = std::nullopt;  ///< of one flag only
};

void set_cache_type(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  spec.type = value;
  if (find_backend_type(value) != nullptr) return;
  std::vector<std::string> names;
  for (const BackendType* type : backend_types()) names.emplace_back(type->name);
  flag.refuse(cat("unknown type '", value, "'"), word_hint(value, names, "types"));
}

/// A choice of BuildKit's that changes nothing here; the value is still to be one.
constexpr char kImageManifest[] = "image-manifest", kOciMediaTypes[] = "oci-mediatypes", kForce[] = "force-compression",
               kReset[] = "reset";
template <const char* kName>
void ignore_choice(CacheSpec&, const CacheFlag& flag, const std::string& value) {
  flag.truth(kName, value);
}

void ignore_value(CacheSpec&, const CacheFlag&, const std::string&) {}

void set_mode(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  if (value != "min" && value != "max") flag.refuse(cat("unknown mode '", value, "'"), "min or max");
  spec.all_steps = value == "max";
}

void set_compression(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  spec.compression = oci::layer::parse_compression(value);
  if (!spec.compression) flag.refuse(oci::wrong_compression(value), oci::kCompressionHint);
}

void set_level(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  spec.compression_level = static_cast<int>(flag.number("compression-level", value, 22));
}

void set_mount_bytes(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  const auto size = parse_size(value);
  if (!size) flag.refuse(cat("mounts-max '", value, "' is not a size"), "for example 500m");
  spec.mount_bytes = *size;
}

void set_keep(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  const std::string days = value.ends_with('d') ? value.substr(0, value.size() - 1) : value;
  spec.keep_days = static_cast<unsigned>(flag.number("keep", days, 3650));
}

void set_max_bytes(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  const auto size = parse_size(value);
  if (!size) flag.refuse(cat("max-size '", value, "' is not a size"), "for example 10g");
  spec.max_bytes = *size;
}

void set_collect(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  spec.collect = flag.truth("gc", value);
}

void set_timeout(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  constexpr std::int64_t kMost_s = 3600;
  const auto duration_ns = parse_int(value) ? std::nullopt : parse_duration_ns(value);
  spec.timeout = duration_ns ? std::chrono::milliseconds(std::min(*duration_ns / 1'000'000, kMost_s * 1000))
                             : std::chrono::seconds(flag.number("timeout", value, kMost_s));
}

void set_ignore_error(CacheSpec& spec, const CacheFlag& flag, const std::string& value) {
  spec.ignore_error = flag.truth("ignore-error", value);
}

void add_mount(CacheSpec& spec, const CacheFlag&, const std::string& value) { spec.mounts.push_back(value); }

constexpr CommonKey kCommonKeys[] = {
    {"type", set_cache_type},
    {"image-manifest", ignore_choice<kImageManifest>},  // the format is the same in either form
    {"oci-mediatypes", ignore_choice<kOciMediaTypes>},
    {"timeout", set_timeout, CacheUse::from},
    {"mode", ignore_value, CacheUse::from},  // only an export has a meaning for these: both flags share lines
    {"compression", ignore_value, CacheUse::from},
    {"compression-level", ignore_value, CacheUse::from},
    {"force-compression", ignore_value, CacheUse::from},
    {"ignore-error", ignore_value, CacheUse::from},
    {"mode", set_mode, CacheUse::to},
    {"compression", set_compression, CacheUse::to},
    {"compression-level", set_level, CacheUse::to},
    {"ignore-error", set_ignore_error, CacheUse::to},
    {"mounts", add_mount, CacheUse::to},
    {"mounts-max", set_mount_bytes, CacheUse::to},
    {"keep", set_keep, CacheUse::to},
    {"max-size", set_max_bytes, CacheUse::to},
    {"gc", set_collect, CacheUse::to},
    {"force-compression", ignore_choice<kForce>, CacheUse::to},  // layers of bases are named where they lie
    {"reset", ignore_choice<kReset>, CacheUse::to},              // unneeded blobs of a replaced cache always go
};

template <typename Key>
const Key* find_key(std::span<const Key> keys, const CacheFlag& flag, std::string_view name) {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const Key& key) {
    return key.name == name && key.use.value_or(flag.use) == flag.use;
  });
  return found == keys.end() ? nullptr : &*found;
}

template <typename Key>
void add_names(std::span<const Key> keys, const CacheFlag& flag, std::vector<std::string>& names) {
  for (const Key& key : keys)
    if (key.use.value_or(flag.use) == flag.use) names.emplace_back(key.name);
}

[[noreturn]] void refuse_key(const CacheFlag& flag, const std::string& name) {
  std::vector<std::string> known;
  add_names(std::span<const CommonKey>(kCommonKeys), flag, known);
  for (const BackendType* type : backend_types()) add_names(type->keys, flag, known);
  std::sort(known.begin(), known.end());
  flag.refuse(cat("unknown key '", name, "'"), word_hint(name, known, "keys"));
}

void set_cache_key(CacheSpec& spec, const CacheFlag& flag, const std::string& name, const std::string& value) {
  if (const CommonKey* key = find_key(std::span<const CommonKey>(kCommonKeys), flag, name))
    return key->set(spec, flag, value);
  for (const BackendType* type : backend_types()) {
    const BackendKey* key = find_key(type->keys, flag, name);
    if (key == nullptr) continue;
    if (key->check != nullptr) key->check(flag, value);
    spec.attributes[name] = value;
    return;
  }
  refuse_key(flag, name);
}

CacheSpec parse_pairs(std::string_view text, const CacheFlag& flag) {
  CacheSpec spec;
  bool typed = false;
  std::string last;
  for (const std::string& field : csv_fields(text, flag.name())) {
    const std::size_t equals = field.find('=');
    const std::string key = to_lower(trim(field.substr(0, equals)));
    if (equals == std::string::npos && last == "mounts") {  // mounts=a,b: the comma belongs to the value
      spec.mounts.push_back(field);
      continue;
    }
    set_cache_key(spec, flag, key, equals == std::string::npos ? std::string() : field.substr(equals + 1));
    typed = typed || key == "type";
    last = key;
  }
  if (!typed) flag.refuse("type is required", "for example type=registry,ref=REGISTRY/REPOSITORY:cache");
  return spec;
}

CacheSpec parse_cache(std::string_view text, const CacheFlag& flag) {
  CacheSpec spec;
  if (text.find('=') == std::string_view::npos)
    spec.attributes["ref"] = text;
  else
    spec = parse_pairs(text, flag);
  find_backend_type(spec.type)->parse(spec, flag);
  const std::span<const BackendKey> own = find_backend_type(spec.type)->keys;  // parse() may have chosen another type
  std::erase_if(spec.attributes, [&](const auto& pair) { return find_key(own, flag, pair.first) == nullptr; });
  return spec;
}

}  // namespace

void CacheFlag::refuse(const std::string& message, const std::string& hint) const {
  throw Error(ErrorCode::usage, cat(name(), ": ", message)).with_hint(hint);
}

bool CacheFlag::truth(std::string_view key, const std::string& value) const {
  if (value.empty()) return true;
  if (const auto truth = parse_bool(value)) return *truth;
  refuse(cat(key, " takes true or false, not '", value, "'"));
}

std::int64_t CacheFlag::number(std::string_view key, const std::string& value, std::int64_t most) const {
  const auto number = parse_int(value);
  if (!number || *number < 0 || *number > most) refuse(cat(key, " '", value, "' is not a number from 0 to ", most));
  return *number;
}

std::string CacheSpec::attribute(const std::string& key, const std::string& otherwise) const {
  const auto found = attributes.find(key);
  return found == attributes.end() ? otherwise : found->second;
}

std::string CacheSpec::attribute_or(const std::string& key, std::initializer_list<const char*> variables) const {
  if (std::string value = attribute(key); !value.empty()) return value;
  for (const char* name : variables)
    if (std::string value = environment_value(name); !value.empty()) return value;
  return {};
}

CacheSpec parse_cache_to(std::string_view text) { return parse_cache(text, {CacheUse::to}); }
CacheSpec parse_cache_from(std::string_view text) { return parse_cache(text, {CacheUse::from}); }

}  // namespace cbuild::cache
