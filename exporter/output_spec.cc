// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "exporter/csv.h"
#include "exporter/outputs.h"

namespace cbuild::exporter {
namespace {

struct TypeName {
  std::string_view name;
  OutputType type;
};
constexpr std::array kTypes = {TypeName{"local", OutputType::local},
                               TypeName{"tar", OutputType::tar},
                               TypeName{"oci", OutputType::oci},
                               TypeName{"docker", OutputType::docker},
                               TypeName{"image", OutputType::image},
                               TypeName{"registry", OutputType::registry},
                               TypeName{"cacheonly", OutputType::cacheonly}};

[[noreturn]] void bad(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, cat("--output: ", message)).with_hint(hint);
}

bool parse_bool(const std::string& key, const std::string& value) {
  const std::string lower = to_lower(value);
  if (lower.empty() || lower == "true" || lower == "t" || lower == "1") return true;
  if (lower == "false" || lower == "f" || lower == "0") return false;
  bad(cat(key, " takes true or false, not '", value, "'"));
}

OutputType parse_type(const std::string& name) {
  std::vector<std::string> known;
  for (const TypeName& type : kTypes) {
    if (type.name == name) return type.type;
    known.emplace_back(type.name);
  }
  const auto near = suggest(name, known);
  bad(cat("unknown type '", name, "'"), near ? cat("did you mean ", *near, "?") : cat("types: ", join(known, ", ")));
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
      {"push", [](Output& o, const std::string& v) { o.push = parse_bool("push", v); }},
      {"push-by-digest", [](Output& o, const std::string& v) { o.push_by_digest = parse_bool("push-by-digest", v); }},
      {"registry.insecure", [](Output& o, const std::string& v) { o.insecure = parse_bool("registry.insecure", v); }},
      {"tar", [](Output& o, const std::string& v) { o.as_tar = parse_bool("tar", v); }},
      {"oci-mediatypes", [](Output& o, const std::string& v) { o.oci_media_types = parse_bool("oci-mediatypes", v); }},
      {"compression",
       [](Output& o, const std::string& v) {
         const auto compression = oci::layer::parse_compression(v);
         if (!compression) bad(cat("unknown compression '", v, "'"), "uncompressed, gzip or zstd");
         o.image.compression = *compression;
       }},
      {"compression-level",
       [](Output& o, const std::string& v) {
         const auto level = parse_int(v);
         if (!level || *level < 0 || *level > 22) bad(cat("compression-level '", v, "' is not a number from 0 to 22"));
         o.image.compression_level = static_cast<int>(*level);
       }},
      {"force-compression",
       [](Output& o, const std::string& v) { o.image.force_compression = parse_bool("force-compression", v); }},
      {"rewrite-timestamp",
       [](Output& o, const std::string& v) { o.image.rewrite_timestamp = parse_bool("rewrite-timestamp", v); }},
      {"source-date-epoch",
       [](Output& o, const std::string& v) {
         o.epoch = Output::Epoch{parse_int(v)};
         if (!v.empty() && !o.epoch->value) bad(cat("source-date-epoch '", v, "' is not a number of seconds"));
       }},
      {"context", [](Output& o, const std::string& v) { o.engine_context = v; }},
      {"store", [](Output& o, const std::string& v) { o.keep = parse_bool("store", v); }},
      {"name-canonical", [](Output& o, const std::string& v) { o.name_canonical = parse_bool("name-canonical", v); }},
      {"dangling-name-prefix", [](Output& o, const std::string& v) { o.dangling_prefix = v; }},
      {"danging-name-empty-only",  // as BuildKit spells it
       [](Output& o, const std::string& v) { o.dangling_only = parse_bool("danging-name-empty-only", v); }},
      {"platform-split", [](Output& o, const std::string& v) { o.platform_split = parse_bool("platform-split", v); }},
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
  if (std::find(kIgnored.begin(), kIgnored.end(), key) != kIgnored.end())
    return static_cast<void>(parse_bool(key, value));
  std::vector<std::string> known(kIgnored.begin(), kIgnored.end());
  for (const auto& [name, unused] : output_setters()) known.push_back(name);
  const auto near = suggest(key, known);
  bad(cat("unknown key '", key, "'"), near ? cat("did you mean ", *near, "?") : cat("keys: ", join(known, ", ")));
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
