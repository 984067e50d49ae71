// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "exporter/compression_words.h"
#include "exporter/csv.h"
#include "exporter/outputs.h"

namespace cbuild::exporter {
namespace {

constexpr Word<OutputType> kTypes[] = {
    {"local", OutputType::local},        {"tar", OutputType::tar},     {"oci", OutputType::oci},
    {"docker", OutputType::docker},      {"image", OutputType::image}, {"registry", OutputType::registry},
    {"cacheonly", OutputType::cacheonly}};

[[noreturn]] void bad(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, cat("--output: ", message)).with_hint(hint);
}

/// A key without a value is true.
bool is_true(const std::string& key, const std::string& value) {
  if (value.empty()) return true;
  if (const auto truth = parse_bool(value)) return *truth;
  bad(cat(key, " takes true or false, not '", value, "'"));
}

OutputType parse_type(const std::string& name) {
  if (const auto type = find_word(kTypes, name)) return *type;
  bad(cat("unknown type '", name, "'"), word_hint(name, names_of(kTypes), "types"));
}

/// What BuildKit's exporters know, or knew, and what changes nothing here: attestations, layers marked as not to be
/// distributed, containerd's image store (layers are unpacked when they are used).
constexpr std::array kIgnored = {"attestation-inline",    "buildinfo", "oci-artifact", "prefer-image-digest",
                                 "prefer-nondist-layers", "unpack"};
constexpr std::array kIgnoredText = {"attestation-prefix", "buildinfo-attrs"};

using OutputSetter = std::function<void(Output&, const std::string& value)>;

const std::map<std::string, OutputSetter>& output_setters() {
  static const std::map<std::string, OutputSetter> table = {
      {"type", [](Output& o, const std::string& v) { o.type = parse_type(v); }},
      {"dest", [](Output& o, const std::string& v) { o.dest = v; }},
      {"target", [](Output& o, const std::string& v) { o.target = v; }},
      {"name", [](Output& o, const std::string& v) { o.names = split(v, ','); }},
      {"push", [](Output& o, const std::string& v) { o.push = is_true("push", v); }},
      {"push-by-digest", [](Output& o, const std::string& v) { o.push_by_digest = is_true("push-by-digest", v); }},
      {"registry.insecure", [](Output& o, const std::string& v) { o.insecure = is_true("registry.insecure", v); }},
      {"tar", [](Output& o, const std::string& v) { o.as_tar = is_true("tar", v); }},
      {"oci-mediatypes", [](Output& o, const std::string& v) { o.oci_media_types = is_true("oci-mediatypes", v); }},
      {"compression",
       [](Output& o, const std::string& v) {
         const auto compression = oci::layer::parse_compression(v);
         if (!compression) bad(wrong_compression(v), kCompressionHint);
         o.image.compression = *compression;
       }},
      {"compression-level",
       [](Output& o, const std::string& v) {
         const auto level = parse_int(v);
         if (!level || *level < 0 || *level > 22) bad(cat("compression-level '", v, "' is not a number from 0 to 22"));
         o.image.compression_level = static_cast<int>(*level);
       }},
      {"force-compression",
       [](Output& o, const std::string& v) { o.image.force_compression = is_true("force-compression", v); }},
      {"rewrite-timestamp",
       [](Output& o, const std::string& v) { o.image.rewrite_timestamp = is_true("rewrite-timestamp", v); }},
      {"source-date-epoch",
       [](Output& o, const std::string& v) {
         o.epoch = Output::Epoch{parse_int(v)};
         if (!v.empty() && !o.epoch->value) bad(cat("source-date-epoch '", v, "' is not a number of seconds"));
       }},
      {"context", [](Output& o, const std::string& v) { o.engine_context = v; }},
      {"store", [](Output& o, const std::string& v) { o.keep = is_true("store", v); }},
      {"name-canonical", [](Output& o, const std::string& v) { o.name_canonical = is_true("name-canonical", v); }},
      {"dangling-name-prefix", [](Output& o, const std::string& v) { o.dangling_prefix = v; }},
      {"danging-name-empty-only",  // as BuildKit spells it
       [](Output& o, const std::string& v) { o.dangling_only = is_true("danging-name-empty-only", v); }},
      {"platform-split", [](Output& o, const std::string& v) { o.platform_split = is_true("platform-split", v); }},
      {"mode",
       [](Output& o, const std::string& v) {
         const std::string mode = to_lower(trim(v));
         if (!mode.empty() && mode != "copy" && mode != "delete") bad(cat("mode '", v, "' is not copy or delete"));
         o.delete_extra = mode == "delete";
       }},
  };
  return table;
}

void set_key(Output& output, const std::string& key, const std::string& value) {
  if (auto annotation = parse_annotation_key(key, value)) {
    output.annotations.push_back(std::move(*annotation));
    return;
  }
  const auto setter = output_setters().find(key);
  if (setter != output_setters().end()) return setter->second(output, value);
  if (std::find(kIgnoredText.begin(), kIgnoredText.end(), key) != kIgnoredText.end()) return;
  if (std::find(kIgnored.begin(), kIgnored.end(), key) != kIgnored.end()) return static_cast<void>(is_true(key, value));
  std::vector<std::string> known(kIgnored.begin(), kIgnored.end());
  for (const auto& [name, unused] : output_setters()) known.push_back(name);
  bad(cat("unknown key '", key, "'"), word_hint(key, known, "keys"));
}

void check(const Output& output, bool stdout_is_terminal) {
  const bool to_file = output.type == OutputType::tar || output.type == OutputType::oci ||
                       output.type == OutputType::docker || output.type == OutputType::local;
  if (to_file && output.dest.empty() && output.type == OutputType::local) bad("type=local needs dest=DIRECTORY");
  const bool to_stdout = to_file && output.type != OutputType::local && (output.dest == "-" || output.dest.empty());
  if (to_stdout && !output.as_tar) bad("tar=false needs dest=DIRECTORY");
  if (to_stdout && stdout_is_terminal)
    bad("refusing to write an archive to a terminal", "redirect stdout, or give dest=FILE");
}

}  // namespace

Output parse_output(std::string_view text, bool stdout_is_terminal) {
  Output output;
  const std::vector<std::string> fields = csv_fields(text, "--output");
  if (fields.size() == 1 && fields[0].find('=') == std::string::npos) {
    if (fields[0].empty()) bad("empty value");
    output.type = fields[0] == "-" ? OutputType::tar : OutputType::local;
    output.dest = fields[0];
  } else {
    bool typed = false;
    for (const std::string& field : fields) {
      const std::size_t equals = field.find('=');
      const std::string key = to_lower(trim(field.substr(0, equals)));
      typed = typed || key == "type";
      set_key(output, key, equals == std::string::npos ? std::string() : field.substr(equals + 1));
    }
    if (!typed) bad("type is required", "for example --output type=oci,dest=image.tar");
  }
  if (output.type == OutputType::registry) {
    output.type = OutputType::image;
    output.push = true;
  }
  if (output.dest.empty() && (output.type == OutputType::tar || output.type == OutputType::oci)) output.dest = "-";
  output.image.docker_media_types = !output.oci_media_types;
  check(output, stdout_is_terminal);
  return output;
}

}  // namespace cbuild::exporter
