// SPDX-License-Identifier: Apache-2.0
// Image configurations. BuildKit marshals the known fields as a Go struct and then patches that document as a map, so a
// configuration has its top-level keys sorted and everything below in the order of the Go structs. Both are reproduced
// here byte for byte, because the image id is the digest of this text. Unknown top-level members of a base are kept.
#include "oci/image_config.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/json.h"

namespace cbuild::oci {

namespace {

using Value = nlohmann::json;
constexpr std::size_t kMaxConfigBytes = 8u << 20, kMaxLayers = 100'000;

/// As Go prints a time it has parsed: no trailing zeros in the fraction, "Z" for a zero offset.
std::string go_time(std::string time) {
  std::size_t zone = time.find_last_of("Zz+-");
  if (time.size() < 20 || zone == std::string::npos || zone < 19) return time;
  std::string suffix = time.substr(zone);
  if (suffix == "+00:00" || suffix == "-00:00") suffix = "Z";
  time.resize(zone);
  if (time.find('.') != std::string::npos) {
    while (time.ends_with('0')) time.pop_back();
    if (time.ends_with('.')) time.pop_back();
  }
  return time + suffix;
}

std::optional<std::vector<std::string>> opt_list(const Value& object, const char* key) {
  if (json::find(object, key) == nullptr) return std::nullopt;
  return json::texts(object, key);
}

Healthcheck parse_healthcheck(const Value& object) {
  Healthcheck check;
  check.test = json::texts(object, "Test");
  check.interval_ns = json::integer(object, "Interval");
  check.timeout_ns = json::integer(object, "Timeout");
  check.start_period_ns = json::integer(object, "StartPeriod");
  check.start_interval_ns = json::integer(object, "StartInterval");
  check.retries = json::integer(object, "Retries");
  return check;
}

ContainerConfig parse_container_config(const Value& object) {
  ContainerConfig config;
  config.user = json::text(object, "User");
  config.working_dir = json::text(object, "WorkingDir");
  config.stop_signal = json::text(object, "StopSignal");
  config.env = json::texts(object, "Env");
  config.entrypoint = opt_list(object, "Entrypoint");
  config.cmd = opt_list(object, "Cmd");
  config.shell = opt_list(object, "Shell");
  config.exposed_ports = json::key_set(object, "ExposedPorts");
  config.volumes = json::key_set(object, "Volumes");
  config.labels = json::text_map(object, "Labels");
  config.on_build = json::texts(object, "OnBuild");
  if (const Value* check = json::object(object, "Healthcheck")) config.healthcheck = parse_healthcheck(*check);
  config.args_escaped = json::boolean(object, "ArgsEscaped");
  return config;
}

std::vector<Digest> parse_diff_ids(const Value& document) {
  const Value* rootfs = json::object(document, "rootfs");
  if (rootfs == nullptr) throw Error(ErrorCode::corrupt, "\"rootfs\" is missing");
  const std::string type = json::text(*rootfs, "type");
  if (!type.empty() && type != "layers") throw Error(ErrorCode::corrupt, "\"rootfs\" is not of type layers");
  const std::vector<std::string> texts = json::texts(*rootfs, "diff_ids");
  if (texts.size() > kMaxLayers) throw Error(ErrorCode::corrupt, cat("more than ", kMaxLayers, " layers"));
  std::vector<Digest> out;
  out.reserve(texts.size());
  for (const std::string& text : texts) {
    const std::optional<Digest> digest = Digest::parse(text);
    if (!digest) throw Error(ErrorCode::corrupt, "diff id is not a sha256 digest: " + sanitize_for_terminal(text));
    out.push_back(*digest);
  }
  return out;
}

std::vector<HistoryEntry> parse_history(const Value& document) {
  std::vector<HistoryEntry> out;
  const Value* list = json::array(document, "history");
  if (list == nullptr) return out;
  if (list->size() > kMaxLayers) throw Error(ErrorCode::corrupt, cat("more than ", kMaxLayers, " history entries"));
  for (const Value& entry : *list) {
    if (!entry.is_object()) throw Error(ErrorCode::corrupt, "\"history\" is not an array of objects");
    out.push_back({go_time(json::text(entry, "created")), json::text(entry, "created_by"), json::text(entry, "author"),
                   json::text(entry, "comment"), json::boolean(entry, "empty_layer")});
  }
  return out;
}

Platform parse_platform_fields(const Value& document) {
  Platform platform;
  if (const std::string os = json::text(document, "os"); !os.empty()) platform.os = os;
  platform.architecture = json::text(document, "architecture");
  platform.variant = json::text(document, "variant");
  platform.os_version = json::text(document, "os.version");
  platform.os_features = json::texts(document, "os.features");
  return platform;
}

bool is_known(std::string_view key) {
  static constexpr std::string_view kKnown[] = {"architecture", "author",      "config",     "created", "history",
                                                "os",           "os.features", "os.version", "rootfs",  "variant"};
  return std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown);
}

ImageConfig read_config(const Value& document) {
  ImageConfig out;
  out.created = go_time(json::text(document, "created"));
  out.author = json::text(document, "author");
  out.platform = parse_platform_fields(document);
  if (const Value* config = json::object(document, "config")) out.config = parse_container_config(*config);
  out.diff_ids = parse_diff_ids(document);
  out.history = parse_history(document);
  for (const auto& [key, value] : document.items()) {
    if (!is_known(key) && !value.is_null()) out.extra.emplace(key, json::canonical(value));
  }
  return out;
}

void write_key_set(json::Writer& writer, std::string_view name, const std::set<std::string>& keys) {
  if (keys.empty()) return;
  writer.key(name).begin_object();
  for (const std::string& key : keys) writer.key(key).begin_object().end_object();
  writer.end_object();
}

void write_list(json::Writer& writer, std::string_view name, const std::optional<std::vector<std::string>>& list) {
  if (list) writer.opt_texts(name, *list);
}

void write_healthcheck(json::Writer& writer, const Healthcheck& check) {
  writer.key("Healthcheck").begin_object();
  writer.opt_texts("Test", check.test);
  writer.opt_number("Interval", check.interval_ns).opt_number("Timeout", check.timeout_ns);
  writer.opt_number("StartPeriod", check.start_period_ns).opt_number("StartInterval", check.start_interval_ns);
  writer.opt_number("Retries", check.retries).end_object();
}

std::string container_config_json(const ContainerConfig& config) {
  json::Writer writer;
  writer.begin_object().opt_text("User", config.user);
  write_key_set(writer, "ExposedPorts", config.exposed_ports);
  writer.opt_texts("Env", config.env);
  write_list(writer, "Entrypoint", config.entrypoint);
  write_list(writer, "Cmd", config.cmd);
  write_key_set(writer, "Volumes", config.volumes);
  writer.opt_text("WorkingDir", config.working_dir).opt_text_map("Labels", config.labels);
  writer.opt_text("StopSignal", config.stop_signal).opt_true("ArgsEscaped", config.args_escaped);
  if (config.healthcheck) write_healthcheck(writer, *config.healthcheck);
  writer.opt_texts("OnBuild", config.on_build);
  write_list(writer, "Shell", config.shell);
  return writer.end_object().take();
}

std::string history_json(const std::vector<HistoryEntry>& history) {
  if (history.empty()) return "null";  // Go's nil slice
  json::Writer writer;
  writer.begin_array();
  for (const HistoryEntry& entry : history) {
    writer.begin_object().opt_text("created", entry.created).opt_text("created_by", entry.created_by);
    writer.opt_text("author", entry.author).opt_text("comment", entry.comment);
    writer.opt_true("empty_layer", entry.empty_layer).end_object();
  }
  return writer.end_array().take();
}

std::string rootfs_json(const std::vector<Digest>& diff_ids) {
  json::Writer writer;
  writer.begin_object().key("type").text("layers").key("diff_ids");
  if (diff_ids.empty()) return writer.null().end_object().take();
  writer.begin_array();
  for (const Digest& id : diff_ids) writer.text(id.str());
  return writer.end_array().end_object().take();
}

std::string literal(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

}  // namespace

ImageConfig parse_image_config(std::string_view text) {
  const Value document = json::parse_object(text, kMaxConfigBytes, "image config");
  try {
    return read_config(document);
  } catch (Error& e) {
    e.add_context("image config");
    throw;
  }
}

std::string to_json(const ImageConfig& config) {
  std::map<std::string, std::string> members = config.extra;
  const auto set_text = [&](const char* key, const std::string& value) {
    if (!value.empty()) members[key] = literal(value);
  };
  const Platform& platform = config.platform;
  members["architecture"] = literal(platform.architecture);
  set_text("author", config.author);
  members["config"] = container_config_json(config.config);
  members["created"] = config.created.empty() ? "null" : literal(config.created);
  members["history"] = history_json(config.history);
  members["os"] = literal(platform.os);
  if (!platform.os_features.empty()) {
    members["os.features"] = json::canonical(Value(platform.os_features));
  }
  set_text("os.version", platform.os_version);
  members["rootfs"] = rootfs_json(config.diff_ids);
  set_text("variant", platform.variant);

  json::Writer writer;
  writer.begin_object();
  for (const auto& [key, value] : members) writer.key(key).raw(value);
  return writer.end_object().take();
}

Digest chain_id(const std::vector<Digest>& diff_ids) {
  Digest chain;
  for (const Digest& id : diff_ids) chain = chain.empty() ? id : sha256(cat(chain.str(), ' ', id.str()));
  return chain;
}

}  // namespace cbuild::oci
