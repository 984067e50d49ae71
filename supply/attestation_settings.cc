// SPDX-License-Identifier: Apache-2.0
// The flags that ask for attestations. They are read in two steps, as buildx and BuildKit do: the type and whether it
// is disabled, then the keys of that type.
#include "supply/attestation_settings.h"

#include "base/csv.h"
#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild::supply {
namespace {

constexpr std::string_view kFlag = "--attest";
constexpr std::string_view kArgument = "BUILDKIT_ATTEST_";
constexpr std::string_view kDefaultProvenance = "mode=min,inline-only=true";

[[noreturn]] void refuse_attest(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, cat(kFlag, ": ", message)).with_hint(hint);
}

/// One value of --attest.
struct Attest {
  std::string type;
  bool disabled = false;
  std::map<std::string, std::string> keys;
};

void set_key(Attest& attest, const std::string& field) {
  const std::size_t equals = field.find('=');
  if (equals == std::string::npos) refuse_attest(cat("'", field, "' is not key=value"));
  const std::string key = field.substr(0, equals), value = field.substr(equals + 1);
  const std::string word = to_lower(trim(key));
  if (word == "type") {
    attest.type = value;
  } else if (word == "disabled") {
    const auto truth = parse_bool(value);
    if (!truth) refuse_attest(cat("disabled takes true or false, not '", value, "'"));
    attest.disabled = *truth;
  } else {
    attest.keys[key] = value;
  }
}

Attest parse_attest(const std::string& text) {
  Attest attest;
  if (!text.empty())
    for (const std::string& field : csv_fields(text, kFlag)) set_key(attest, field);
  if (attest.type.empty()) refuse_attest("type is required", "for example type=provenance,mode=max or type=sbom");
  if (attest.type == "provenance" || attest.type == "sbom") return attest;
  static const std::vector<std::string> known = {"provenance", "sbom"};
  refuse_attest(cat("unknown type '", attest.type, "'"), word_hint(attest.type, known, "types"));
}

/// The value of a build argument: keys only, and a key alone is an empty value.
Attest parse_argument(const std::string& type, const std::string& text) {
  Attest attest{type, false, {}};
  if (text.empty()) return attest;
  for (const std::string& field : csv_fields(text, kFlag)) {
    const std::size_t equals = field.find('=');
    attest.keys[field.substr(0, equals)] = equals == std::string::npos ? "" : field.substr(equals + 1);
  }
  return attest;
}

bool truth_of(const std::string& key, const std::string& value) {
  if (const auto truth = parse_bool(value)) return *truth;
  refuse_attest(cat(key, " takes true or false, not '", value, "'"));
}

void set_mode(ProvenanceSettings& provenance, const std::string& value) {
  if (value != "min" && value != "max" && value != "full") refuse_attest(cat("mode '", value, "' is not min or max"));
  provenance.max = value != "min";
}

void set_version(ProvenanceSettings& provenance, const std::string& value) {
  if (value != "v1" && value != "v0.2") refuse_attest(cat("version '", value, "' is not v1 or v0.2"));
  provenance.version = value == "v1" ? SlsaVersion::v1 : SlsaVersion::v0_2;
}

/// A name of its own next to the files of the result.
void set_file_name(ProvenanceSettings& provenance, const std::string& value) {
  if (value.empty() || value == "." || value == ".." || value.find('/') != std::string::npos)
    refuse_attest(cat("filename '", value, "' is not the name of a file"));
  provenance.file_name = value;
}

/// Keys that BuildKit does not know are left out by it, too.
ProvenanceSettings to_provenance(const Attest& attest) {
  ProvenanceSettings out;
  for (const auto& [key, value] : attest.keys) {
    if (key == "mode") set_mode(out, value);
    if (key == "version") set_version(out, value);
    if (key == "builder-id") out.builder_id = value;
    if (key == "reproducible") out.reproducible = truth_of(key, value);
    if (key == "inline-only") out.inline_only = parse_bool(value).value_or(false);
    if (key == "complete-materials") out.complete_materials = truth_of(key, value);
    if (key == "filename") set_file_name(out, value);
  }
  return out;
}

SbomSettings to_sbom(const Attest& attest) {
  SbomSettings out{{}, attest.keys};
  if (const auto generator = out.parameters.extract("generator")) out.generator = generator.mapped();
  return out;
}

}  // namespace

std::string as_attest(std::string_view type, const std::string& value) {
  if (value.empty()) return {};
  if (const auto truth = parse_bool(value)) return cat("type=", type, ",disabled=", *truth ? "false" : "true");
  return cat("type=", type, ",", value);
}

AttestationSettings parse_attestations(std::span<const std::string> values,
                                       const std::map<std::string, std::string>& build_args, bool no_defaults) {
  std::map<std::string, Attest> by_type;
  for (const std::string& value : values) {
    Attest attest = parse_attest(value);
    by_type.try_emplace(attest.type, std::move(attest));
  }
  for (const auto& [name, value] : build_args) {
    if (!name.starts_with(kArgument)) continue;
    const std::string type = to_lower(name.substr(kArgument.size()));
    if (type != "provenance" && type != "sbom") refuse_attest(cat("unknown attestation type '", type, "'"));
    by_type.try_emplace(type, parse_argument(type, value));
  }
  if (!no_defaults) by_type.try_emplace("provenance", parse_argument("provenance", std::string(kDefaultProvenance)));
  AttestationSettings out;
  for (const auto& [type, attest] : by_type) {
    if (attest.disabled) continue;
    if (type == "provenance") out.provenance = to_provenance(attest);
    if (type == "sbom") out.sbom = to_sbom(attest);
  }
  return out;
}

}  // namespace cbuild::supply
