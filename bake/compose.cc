// SPDX-License-Identifier: Apache-2.0
// A service of a compose file with a build becomes a target; x-bake adds what compose has no word for.
#include "bake/compose.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bake/compose_model.h"
#include "bake/entries.h"
#include "bake/hcl/convert.h"
#include "bake/names.h"
#include "base/error.h"
#include "base/plain_file.h"
#include "base/text.h"
#include "base/yaml/yaml_json.h"

namespace cbuild::bake {
namespace {

using Json = nlohmann::json;

const Json& member(const Json& object, const char* name) {
  static const Json kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

std::optional<std::string> text_member(const Json& object, const char* name) {
  std::string out = scalar_text(member(object, name));
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

Strings list_member(const Json& object, const char* name) {
  const Json& list = member(object, name);
  if (list.is_null()) return {};
  if (!list.is_array()) throw Error(ErrorCode::input, cat(name, " is not a list"));
  Strings out;
  for (const Json& item : list) out.push_back(scalar_text(item));
  return out;
}

/// Of x-bake: one text stands for its words.
Strings words_member(const Json& object, const char* name) {
  const Json& list = member(object, name);
  if (!list.is_string()) return list_member(object, name);
  Strings out = split(list.get<std::string>(), ' ');
  std::erase(out, "");
  return out;
}

bool flag_member(const Json& object, const char* name) {
  const Json& flag = member(object, name);
  if (flag.is_null()) return false;
  return parse_flag(scalar_text(flag), name);
}

Settings settings_member(const Json& object, const char* name) {
  Settings out;
  const Json& map = member(object, name);
  if (map.is_null()) return out;
  if (!map.is_object()) throw Error(ErrorCode::input, cat(name, " is not a mapping"));
  for (const auto& [key, value] : map.items())
    out.emplace(key, value.is_null() ? std::nullopt : std::optional(scalar_text(value)));
  return out;
}

/// "128MiB", as docker prints sizes with four digits.
std::string size_text(const std::string& text) {
  const auto bytes = parse_size(text);
  if (!bytes) throw Error(ErrorCode::input, cat("invalid size ", go_quote(text)));
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(*bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char out[64];
  std::snprintf(out, sizeof out, "%.4g%s", value, kUnits[unit]);
  return out;
}

Strings ulimits_of(const Json& build) {
  Strings out;
  const Json& map = member(build, "ulimits");
  if (map.is_null()) return out;
  for (const auto& [name, value] : map.items()) {
    const std::string soft = scalar_text(value.is_object() ? member(value, "soft") : value);
    const std::string hard = scalar_text(value.is_object() ? member(value, "hard") : value);
    out.push_back(cat(name, "=", soft, ":", hard));
  }
  return out;
}

Settings hosts_of(const Json& build) {
  Settings out;
  const Json& map = member(build, "extra_hosts");
  if (map.is_null()) return out;
  for (const auto& [host, value] : map.items()) {
    Strings addresses;
    if (value.is_array())
      for (const Json& item : value) addresses.push_back(scalar_text(item));
    else
      addresses.push_back(scalar_text(value));
    out[host] = join(addresses, ",");
  }
  return out;
}

std::vector<SshEntry> compose_ssh(const Json& build) {
  std::vector<SshEntry> out;
  const Json& map = member(build, "ssh");
  if (map.is_null()) return out;
  for (const auto& [id, value] : map.items()) {
    const std::string path = scalar_text(value);
    out.push_back({id, path.empty() ? Strings{} : Strings{path}});
  }
  return out;
}

std::vector<SecretEntry> secrets_of(const Json& build, const Json& definitions) {
  std::vector<SecretEntry> out;
  const Json& list = member(build, "secrets");
  if (list.is_null()) return out;
  for (const Json& item : list) {
    SecretEntry secret;
    secret.id = scalar_text(item.is_object() ? member(item, "source") : item);
    const Json& definition = definitions.is_object() ? member(definitions, secret.id.c_str()) : definitions;
    if (definition.is_object()) {
      if (flag_member(definition, "external"))
        throw Error(ErrorCode::input, cat("unsupported external secret ", secret.id));
      secret.source = scalar_text(member(definition, "file"));
      secret.environment = scalar_text(member(definition, "environment"));
    }
    out.push_back(std::move(secret));
  }
  return out;
}

std::vector<CacheEntry> caches_of(const Strings& texts) {
  std::vector<CacheEntry> out;
  for (const std::string& text : texts)
    for (CacheEntry& entry : parse_cache(text)) out.push_back(std::move(entry));
  return out;
}

/// "sbom: true" and the like as an attestation.
void add_attestation(Target& target, const Json& build, const std::string& type) {
  const std::string value = scalar_text(member(build, type.c_str()));
  if (value.empty()) return;
  if (!target.attest) target.attest.emplace();
  Attestation out{type, false, {}};
  try {
    out.disabled = !parse_flag(value, value);
  } catch (const hcl::ValueError&) {
    out = parse_attestation(cat("type=", type, ",", value));
  }
  target.attest->push_back(std::move(out));
}

std::string linked_context(const std::string& path) {
  for (const std::string_view prefix : {"service:", "target:"})
    if (path.starts_with(prefix)) return "target:" + sanitized_name(path.substr(prefix.size()));
  return path;
}

/// Arguments without a value have that of the service's environment or of this process; without either they are not
/// there.
Settings args_of(const Json& build, const Settings& service_environment, const Environment& environment) {
  Settings out;
  for (auto& [name, value] : settings_member(build, "args")) {
    if (value) {
      out.emplace(name, value);
      continue;
    }
    if (const auto own = service_environment.find(name); own != service_environment.end() && own->second)
      out.emplace(name, own->second);
    else if (const auto found = environment.find(name); found != environment.end())
      out.emplace(name, found->second);
  }
  return out;
}

template <typename T>
void append_entries(std::optional<std::vector<T>>& entries, const std::vector<T>& more) {
  if (!more.empty()) merge_entries(entries, more);
}

void append_strings(std::optional<Strings>& list, const Strings& more) {
  if (more.empty()) return;
  Strings all = list.value_or(Strings{});
  all.insert(all.end(), more.begin(), more.end());
  list = without_repeats(all);
}

template <typename T>
std::vector<T> parse_words(const Json& object, const char* name, T (*parse)(const std::string&)) {
  std::vector<T> out;
  for (const std::string& text : words_member(object, name)) out.push_back(parse(text));
  return out;
}

/// The attributes that compose has no words for.
void add_extension(Target& target, const Json& extension) {
  if (!extension.is_object()) return;
  append_strings(target.tags, words_member(extension, "tags"));
  append_entries(target.cache_from, caches_of(words_member(extension, "cache-from")));
  append_entries(target.cache_to, caches_of(words_member(extension, "cache-to")));
  append_entries(target.secrets, parse_words(extension, "secret", parse_secret));
  append_entries(target.ssh, parse_words(extension, "ssh", parse_ssh));
  append_strings(target.platforms, words_member(extension, "platforms"));
  append_entries(target.outputs, parse_words(extension, "output", parse_output));
  if (!member(extension, "pull").is_null()) target.pull = flag_member(extension, "pull");
  if (!member(extension, "no-cache").is_null()) target.no_cache = flag_member(extension, "no-cache");
  append_strings(target.no_cache_filter, words_member(extension, "no-cache-filter"));
  for (const auto& [name, path] : settings_member(extension, "contexts"))
    if (path) target.contexts.emplace(name, linked_context(*path));
}

void add_lists(Target& target, const Json& build, const Json& secrets) {
  append_strings(target.tags, list_member(build, "tags"));
  append_strings(target.platforms, list_member(build, "platforms"));
  append_strings(target.ulimits, ulimits_of(build));
  append_entries(target.cache_from, caches_of(list_member(build, "cache_from")));
  append_entries(target.cache_to, caches_of(list_member(build, "cache_to")));
  append_entries(target.ssh, compose_ssh(build));
  append_entries(target.secrets, secrets_of(build, secrets));
  add_attestation(target, build, "sbom");
  add_attestation(target, build, "provenance");
}

/// As a path of the project: cleaned, unless it is a URL.
std::optional<std::string> context_of(const Json& build) {
  auto context = text_member(build, "context");
  if (context && !is_remote(*context) && context->find("://") == std::string::npos) context = clean_path(*context);
  return context;
}

Target target_of(const std::string& name, const Json& service, const Json& secrets, const Environment& environment) {
  const Json& build = member(service, "build");
  Target out;
  out.name = sanitized_name(name);
  check_target_name(out.name);
  out.context = context_of(build);
  for (const auto& [key, path] : settings_member(build, "additional_contexts"))
    out.contexts[key] = linked_context(path.value_or(""));
  out.dockerfile = text_member(build, "dockerfile");
  out.dockerfile_inline = text_member(build, "dockerfile_inline");
  out.args = args_of(build, settings_member(service, "environment"), environment);
  for (const auto& [key, value] : settings_member(build, "labels")) out.labels[key] = value.value_or("");
  if (const auto size = text_member(build, "shm_size")) out.shm_size = size_text(*size);
  out.network = text_member(build, "network");
  out.extra_hosts = hosts_of(build);
  if (flag_member(build, "no_cache")) out.no_cache = true;
  if (flag_member(build, "pull")) out.pull = true;
  add_lists(out, build, secrets);
  add_extension(out, member(build, "x-bake"));
  out.stage = text_member(build, "target");
  const auto image = text_member(service, "image");
  if (image && (!out.tags || out.tags->empty())) out.tags = Strings{*image};
  return out;
}

Environment compose_environment(const VariableSources& sources) {
  Environment out = sources.environment;
  if (const auto text = sys::try_read_plain(AT_FDCWD, ".env", 1 << 20))
    for (const auto& [name, value] : parse_env_file(*text, sources.environment)) out.emplace(name, value);
  for (const auto& [name, value] : sources.given) out.insert_or_assign(name, value);
  return out;
}

}  // namespace

bool is_compose(const std::string& text) {
  const Json raw = yaml::yaml_to_json(text);
  return raw.is_object() && (member(raw, "services").is_object() || member(raw, "secrets").is_object());
}

void read_compose(const std::vector<BakeFile>& files, const VariableSources& sources, Config& config) {
  const Environment environment = compose_environment(sources);
  const Json model = load_compose(files, environment);
  const Json& services = member(model, "services");
  if (!services.is_object()) return;
  Group all{"default", "", {}};
  const std::string base = dir_name(files.front().name);
  for (const auto& [name, service] : services.items()) {
    if (!member(service, "build").is_object()) continue;
    try {
      Target target = target_of(name, service, member(model, "secrets"), environment);
      target.bases.file = base.empty() ? "." : base;
      if (target.context) target.bases.context = target.bases.file;
      for (const auto& [key, _] : target.contexts) target.bases.contexts[key] = *target.bases.file;
      all.targets.push_back(target.name);
      config.targets.push_back(std::move(target));
    } catch (const hcl::ValueError& error) {
      throw Error(ErrorCode::input, cat("service ", name, ": ", error.what()));
    } catch (Error& error) {
      error.add_context(cat("service ", name));
      throw;
    }
  }
  config.groups.push_back(std::move(all));
}

}  // namespace cbuild::bake
