// SPDX-License-Identifier: Apache-2.0
#include "exporter/cache_spec.h"

#include <functional>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "exporter/compression_words.h"
#include "exporter/csv.h"

namespace cbuild::exporter {
namespace {

/// One flag's words, for its messages.
struct Flag {
  std::string_view name;
  [[noreturn]] void bad(const std::string& message, const std::string& hint = {}) const {
    throw Error(ErrorCode::usage, cat(name, ": ", message)).with_hint(hint);
  }
  bool yes_or_no(const std::string& key, const std::string& value) const {
    if (value.empty()) return true;
    if (const auto truth = parse_bool(value)) return *truth;
    bad(cat(key, " takes true or false, not '", value, "'"));
  }
  std::int64_t number(const std::string& key, const std::string& value, std::int64_t most) const {
    const auto number = parse_int(value);
    if (!number || *number < 0 || *number > most) bad(cat(key, " '", value, "' is not a number from 0 to ", most));
    return *number;
  }
};

using Setter = std::function<void(CacheSpec&, const Flag&, const std::string& value)>;
using Setters = std::map<std::string, Setter>;

CacheType parse_type(const Flag& flag, const std::string& name) {
  static constexpr Word<CacheType> kKinds[] = {
      {"registry", CacheType::registry}, {"local", CacheType::local}, {"inline", CacheType::in_image}};
  if (const auto type = find_word(kKinds, name)) return *type;
  flag.bad(cat("unknown type '", name, "'"), word_hint(name, names_of(kKinds), "types"));
}

/// What BuildKit has as a choice and what changes nothing here; the value is still to be one.
Setter ignored_choice(const char* key) {
  return [key](CacheSpec&, const Flag& flag, const std::string& value) { flag.yes_or_no(key, value); };
}

Setter ignored() {
  return [](CacheSpec&, const Flag&, const std::string&) {};
}

const Setters& common_setters() {
  static const Setters table = {
      {"type", [](CacheSpec& s, const Flag& f, const std::string& v) { s.type = parse_type(f, v); }},
      {"ref", [](CacheSpec& s, const Flag&, const std::string& v) { s.ref = v; }},
      {"tag", [](CacheSpec& s, const Flag&, const std::string& v) { s.tag = v; }},
      {"registry.insecure",
       [](CacheSpec& s, const Flag& f, const std::string& v) { s.insecure = f.yes_or_no("registry.insecure", v); }},
      {"image-manifest", ignored_choice("image-manifest")},  // the format is the same in either form
      {"oci-mediatypes", ignored_choice("oci-mediatypes")},
  };
  return table;
}

const Setters& from_setters() {
  static const Setters table = {
      {"src", [](CacheSpec& s, const Flag&, const std::string& v) { s.directory = v; }},
      {"digest",
       [](CacheSpec& s, const Flag& f, const std::string& v) {
         s.digest = Digest::parse(v);
         if (!s.digest) f.bad(cat("digest '", v, "' is not sha256:..."));
       }},
      {"timeout", [](CacheSpec& s, const Flag& f,
                     const std::string& v) { s.patience = std::chrono::seconds(f.number("timeout", v, 3600)); }},
      {"mode", ignored()},  // what only an export has a meaning for: lines are shared between both flags
      {"compression", ignored()},
      {"compression-level", ignored()},
      {"force-compression", ignored()},
      {"ignore-error", ignored()},
  };
  return table;
}

void set_mode(CacheSpec& spec, const Flag& flag, const std::string& value) {
  if (value != "min" && value != "max") flag.bad(cat("unknown mode '", value, "'"), "min or max");
  spec.all_steps = value == "max";
}

void set_compression(CacheSpec& spec, const Flag& flag, const std::string& value) {
  spec.compression = oci::layer::parse_compression(value);
  if (!spec.compression) flag.bad(wrong_compression(value), kCompressionHint);
}

void set_mount_bytes(CacheSpec& spec, const Flag& flag, const std::string& value) {
  const auto size = parse_size(value);
  if (!size) flag.bad(cat("mounts-max '", value, "' is not a size"), "for example 500m");
  spec.mount_bytes = *size;
}

const Setters& to_setters() {
  static const Setters table = {
      {"dest", [](CacheSpec& s, const Flag&, const std::string& v) { s.directory = v; }},
      {"mode", set_mode},
      {"compression", set_compression},
      {"compression-level",
       [](CacheSpec& s, const Flag& f, const std::string& v) {
         s.compression_level = static_cast<int>(f.number("compression-level", v, 22));
       }},
      {"ignore-error",
       [](CacheSpec& s, const Flag& f, const std::string& v) { s.ignore_error = f.yes_or_no("ignore-error", v); }},
      {"mounts", [](CacheSpec& s, const Flag&, const std::string& v) { s.mounts.push_back(v); }},
      {"mounts-max", set_mount_bytes},
      {"keep",
       [](CacheSpec& s, const Flag& f, const std::string& v) {
         s.keep_days = static_cast<unsigned>(f.number("keep", v.ends_with('d') ? v.substr(0, v.size() - 1) : v, 3650));
       }},
      {"force-compression", ignored_choice("force-compression")},  // layers of bases are named where they lie
      {"reset", ignored_choice("reset")},  // what a replaced cache alone needed is always removed
  };
  return table;
}

void set_key(CacheSpec& spec, const Flag& flag, const Setters& own, const std::string& key, const std::string& value) {
  std::vector<std::string> known;
  for (const Setters* table : {&common_setters(), &own}) {
    if (const auto setter = table->find(key); setter != table->end()) return setter->second(spec, flag, value);
    for (const auto& [name, unused] : *table) known.push_back(name);
  }
  flag.bad(cat("unknown key '", key, "'"), word_hint(key, known, "keys"));
}

CacheSpec parse(std::string_view text, const Flag& flag, const Setters& own) {
  CacheSpec spec;
  bool typed = false;
  std::string last;
  for (const std::string& field : csv_fields(text, flag.name)) {
    const std::size_t equals = field.find('=');
    const std::string key = to_lower(trim(field.substr(0, equals)));
    if (equals == std::string::npos && last == "mounts") {  // mounts=a,b: the comma belongs to the value
      spec.mounts.push_back(field);
      continue;
    }
    set_key(spec, flag, own, key, equals == std::string::npos ? std::string() : field.substr(equals + 1));
    typed = typed || key == "type";
    last = key;
  }
  if (!typed) flag.bad("type is required", "for example type=registry,ref=REGISTRY/REPOSITORY:cache");
  return spec;
}

}  // namespace

CacheSpec parse_cache_to(std::string_view text) {
  const Flag flag{"--cache-to"};
  CacheSpec spec;
  if (text.find('=') == std::string_view::npos)
    spec.ref = text;
  else
    spec = parse(text, flag, to_setters());
  if (spec.type == CacheType::registry && spec.ref.empty())
    flag.bad("type=registry needs ref=", "ref=REGISTRY/REPOSITORY:TAG");
  if (spec.type == CacheType::local && spec.directory.empty()) flag.bad("type=local needs dest=DIRECTORY");
  if (spec.type == CacheType::in_image && spec.all_steps)
    flag.bad("type=inline holds the image's own layers only", "mode=max needs type=registry or type=local");
  if (spec.type == CacheType::in_image && !spec.mounts.empty())
    flag.bad("type=inline cannot hold cache mounts", "mounts= needs type=registry or type=local");
  return spec;
}

CacheSpec parse_cache_from(std::string_view text) {
  const Flag flag{"--cache-from"};
  CacheSpec spec;
  if (text.find('=') == std::string_view::npos) {
    spec.ref = text;
  } else {
    spec = parse(text, flag, from_setters());
  }
  // An image with its cache inside is found like any other manifest.
  if (spec.type == CacheType::in_image) spec.type = CacheType::registry;
  if (spec.type == CacheType::registry && spec.ref.empty())
    flag.bad("a reference is missing", "ref=REGISTRY/REPOSITORY:TAG");
  if (spec.type == CacheType::local && spec.directory.empty()) flag.bad("type=local needs src=DIRECTORY");
  return spec;
}

}  // namespace cbuild::exporter
