// SPDX-License-Identifier: Apache-2.0
// The keys of --output: those that every output has and those that every image has are here, those of a type in its row
// (output_type.h). A key that the user writes is looked up in all of them.
#include "exporter/output_keys.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"
#include "exporter/output_type.h"
#include "oci/compression_words.h"

namespace cbuild::exporter {
namespace {

void set_type(Output& output, std::string_view, const std::string& value) {
  if (const OutputTraits* traits = find_output_type(value)) {
    output.type = traits->type;
    return;
  }
  std::vector<std::string> names;
  for (const OutputTraits* traits : output_types()) names.emplace_back(traits->name);
  refuse_output(cat("unknown type '", value, "'"), word_hint(value, names, "types"));
}

void set_epoch(Output& output, std::string_view, const std::string& value) {
  output.epoch = Output::Epoch{parse_int(value)};
  if (!value.empty() && !output.epoch->value)
    refuse_output(cat("source-date-epoch '", value, "' is not a number of seconds"));
}

void set_attestation_prefix(Output& output, std::string_view key, const std::string& value) {
  if (value.find('/') != std::string::npos) refuse_output(cat(key, " '", value, "' has a '/'"));
  output.attestation_prefix = value;
}

void set_attestation_form(Output& output, std::string_view key, const std::string& value) {
  if (value != "index" && value != "referrers") refuse_output(cat(key, " '", value, "' is not index or referrers"));
  output.referrers = value == "referrers";
}

constexpr OutputKey kEveryOutput[] = {
    {"type", set_type},
    {"dest", [](Output& o, std::string_view, const std::string& v) { o.dest = v; }},
    {"target", [](Output& o, std::string_view, const std::string& v) { o.target = v; }},
    {"source-date-epoch", set_epoch},
    {"attestation-prefix", set_attestation_prefix},
};

template <bool ImageOptions::*kMember>
void set_image_truth(Output& output, std::string_view key, const std::string& value) {
  output.image.*kMember = output_truth(key, value);
}

void set_layer_compression(Output& output, std::string_view, const std::string& value) {
  const auto compression = oci::layer::parse_compression(value);
  if (!compression) refuse_output(oci::wrong_compression(value), oci::kCompressionHint);
  output.image.compression = *compression;
}

void set_compression_level(Output& output, std::string_view key, const std::string& value) {
  const auto level = parse_int(value);
  if (!level || *level < 0 || *level > 22) refuse_output(cat(key, " '", value, "' is not a number from 0 to 22"));
  output.image.compression_level = static_cast<int>(*level);
}

constexpr OutputKey kEveryImage[] = {
    {"name", [](Output& o, std::string_view, const std::string& v) { o.names = split(v, ','); }},
    {"oci-mediatypes", set_output_truth<&Output::oci_media_types>},
    {"compression", set_layer_compression},
    {"compression-level", set_compression_level},
    {"force-compression", set_image_truth<&ImageOptions::force_compression>},
    {"rewrite-timestamp", set_image_truth<&ImageOptions::rewrite_timestamp>},
    {"attestation-inline", set_output_truth<&Output::attestation_inline>},
    {"attestation-form", set_attestation_form},
    {"buildinfo", check_output_truth},
    {"buildinfo-attrs", ignore_output_key},
    {"oci-artifact",
     [](Output& o, std::string_view key, const std::string& v) { o.oci_artifact = output_truth(key, v); }},
    {"prefer-nondist-layers", set_image_truth<&ImageOptions::prefer_foreign>},
};

std::vector<OutputKey> every_key() {
  std::vector<OutputKey> keys(std::begin(kEveryOutput), std::end(kEveryOutput));
  keys.insert(keys.end(), std::begin(kEveryImage), std::end(kEveryImage));
  for (const OutputTraits* traits : output_types()) keys.insert(keys.end(), traits->keys.begin(), traits->keys.end());
  return keys;
}

}  // namespace

void refuse_output(const std::string& message, const std::string& hint) {
  throw Error(ErrorCode::usage, cat("--output: ", message)).with_hint(hint);
}

bool output_truth(std::string_view key, const std::string& value) {
  if (value.empty()) return true;
  if (const auto truth = parse_bool(value)) return *truth;
  refuse_output(cat(key, " takes true or false, not '", value, "'"));
}

void check_output_truth(Output&, std::string_view key, const std::string& value) { output_truth(key, value); }

void ignore_output_key(Output&, std::string_view, const std::string&) {}

void set_output_key(Output& output, const std::string& key, const std::string& value) {
  if (auto annotation = parse_annotation_key(key, value)) {
    output.annotations.push_back(std::move(*annotation));
    return;
  }
  std::vector<std::string> known;
  for (const OutputKey& candidate : every_key()) {
    if (candidate.name == key) return candidate.set(output, key, value);
    known.emplace_back(candidate.name);
  }
  std::sort(known.begin(), known.end());
  refuse_output(cat("unknown key '", key, "'"), word_hint(key, known, "keys"));
}

}  // namespace cbuild::exporter
