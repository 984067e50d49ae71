// SPDX-License-Identifier: Apache-2.0
// The passes over compose files before they have a meaning: YAML to JSON, merge keys ("<<"), variables, `extends`
// within a file, the long forms of `build` and its maps, and the merging of files: maps by key, lists one after the
// other, all else by the last one.
#include "bake/compose_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "base/yaml/yaml_json.h"

namespace cbuild::bake {
namespace {

using Json = nlohmann::json;

constexpr int kMaxNesting = 20;

[[noreturn]] void fail_compose(const std::string& message, std::string hint = "") {
  throw Error(ErrorCode::input, message).with_hint(std::move(hint));
}

bool is_name(char c, bool first) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && c >= '0' && c <= '9');
}

/// The closing brace of the one before `pos`.
std::size_t closing_brace(const std::string& text, std::size_t pos) {
  int depth = 1;
  for (; pos < text.size(); ++pos) {
    if (text.compare(pos, 2, "${") == 0) ++depth;
    if (text[pos] == '}' && --depth == 0) return pos;
  }
  fail_compose(cat("variable is not closed in ", go_quote(text)), "a $ itself is written as $$");
}

std::string interpolate_nested(const std::string& text, const Environment& environment, int depth);

/// What stands in the braces: NAME, or NAME with an operator and a word.
std::string braced_value(const std::string& inner, const Environment& environment, int depth) {
  std::size_t end = 0;
  while (end < inner.size() && is_name(inner[end], end == 0)) ++end;
  const std::string name = inner.substr(0, end);
  if (name.empty()) fail_compose(cat("invalid variable ", go_quote("${" + inner + "}")), "a $ itself is written as $$");
  const auto found = environment.find(name);
  std::string rest = inner.substr(end);
  const bool colon = rest.starts_with(':');
  if (colon) rest.erase(0, 1);
  const bool set = found != environment.end() && (!colon || !found->second.empty());
  if (rest.empty()) return found == environment.end() ? "" : found->second;
  const std::string word = rest.substr(1);
  if (rest[0] == '-') return set ? found->second : interpolate_nested(word, environment, depth + 1);
  if (rest[0] == '+') return set ? interpolate_nested(word, environment, depth + 1) : "";
  if (rest[0] != '?') fail_compose(cat("invalid variable ", go_quote("${" + inner + "}")));
  if (!set) fail_compose(cat("required variable ", name, " is missing a value", word.empty() ? "" : ": ", word));
  return found->second;
}

std::string interpolate_nested(const std::string& text, const Environment& environment, int depth) {
  if (depth > kMaxNesting) fail_compose("variables are nested too deeply");
  std::string out;
  for (std::size_t pos = 0; pos < text.size();) {
    if (text[pos] != '$') {
      out += text[pos++];
    } else if (text.compare(pos, 2, "$$") == 0) {
      out += '$';
      pos += 2;
    } else if (text.compare(pos, 2, "${") == 0) {
      const std::size_t close = closing_brace(text, pos + 2);
      out += braced_value(text.substr(pos + 2, close - pos - 2), environment, depth);
      pos = close + 1;
    } else {
      std::size_t end = ++pos;
      while (end < text.size() && is_name(text[end], end == pos)) ++end;
      if (end == pos) fail_compose(cat("invalid variable in ", go_quote(text)), "a $ itself is written as $$");
      const auto found = environment.find(text.substr(pos, end - pos));
      if (found != environment.end()) out += found->second;
      pos = end;
    }
  }
  return out;
}

void interpolate_all(Json& value, const Environment& environment) {
  if (value.is_string()) value = interpolate(value.get<std::string>(), environment);
  if (value.is_structured())
    for (Json& item : value) interpolate_all(item, environment);
}

void follow_merge_keys(Json& value) {
  if (!value.is_structured()) return;
  for (Json& item : value) follow_merge_keys(item);
  if (!value.is_object() || !value.contains("<<")) return;
  const Json sources = value["<<"].is_array() ? value["<<"] : Json::array({value["<<"]});
  value.erase("<<");
  for (const Json& source : sources) {
    if (!source.is_object()) fail_compose("the value of << is not a mapping");
    for (const auto& [key, item] : source.items())
      if (!value.contains(key)) value[key] = item;
  }
}

/// "KEY=VALUE" and "KEY" of a list as the members of a map.
void list_to_map(Json& object, const char* name, std::string_view separators = "=") {
  if (!object.contains(name) || !object[name].is_array()) return;
  Json out = Json::object();
  for (const Json& item : object[name]) {
    const std::string text = scalar_text(item);
    const auto at = text.find_first_of(separators);
    out[text.substr(0, at)] = at == std::string::npos ? Json() : Json(text.substr(at + 1));
  }
  object[name] = std::move(out);
}

void string_to_list(Json& object, const char* name) {
  if (object.contains(name) && object[name].is_string()) object[name] = Json::array({object[name]});
}

void write_out(Json& service) {
  list_to_map(service, "environment");
  string_to_list(service, "env_file");
  if (!service.contains("build")) return;
  Json& build = service["build"];
  if (build.is_string()) build = Json{{"context", build}};
  if (build.is_null()) {
    service.erase("build");
    return;
  }
  if (!build.is_object()) fail_compose("build is neither a path nor a mapping");
  list_to_map(build, "args");
  list_to_map(build, "labels");
  list_to_map(build, "additional_contexts");
  list_to_map(build, "extra_hosts", build.contains("extra_hosts") && build["extra_hosts"].is_array() ? "=:" : "=");
  list_to_map(build, "ssh");
}

void merge_json(Json& into, const Json& over) {
  if (into.is_object() && over.is_object()) {
    for (const auto& [key, item] : over.items()) {
      if (into.contains(key))
        merge_json(into[key], item);
      else
        into[key] = item;
    }
  } else if (into.is_array() && over.is_array()) {
    for (const Json& item : over)
      if (std::find(into.begin(), into.end(), item) == into.end()) into.push_back(item);
  } else if (!over.is_null()) {
    into = over;
  }
}

std::string extended_name(const Json& extends) {
  if (extends.is_string()) return extends.get<std::string>();
  if (!extends.is_object() || !extends.contains("service")) fail_compose("extends names no service");
  if (extends.contains("file")) fail_compose("extends from another file is not supported", "give both files with -f");
  return scalar_text(extends["service"]);
}

/// A service with what it extends below it.
Json extended(const Json& services, const std::string& name, int depth) {
  if (depth > kMaxNesting) fail_compose(cat("service ", go_quote(name), " extends too many others, or itself"));
  if (!services.contains(name)) fail_compose(cat("service ", go_quote(name), " is extended, but not defined"));
  Json service = services[name];
  if (!service.is_object() || !service.contains("extends")) return service;
  Json out = extended(services, extended_name(service["extends"]), depth + 1);
  service.erase("extends");
  merge_json(out, service);
  return out;
}

Json load_services(const Json& raw) {
  Json services = Json::object(), out = Json::object();
  if (!raw.is_object()) fail_compose("services is not a mapping");
  for (const auto& [name, service] : raw.items()) {
    services[name] = service.is_null() ? Json::object() : service;
    if (!services[name].is_object()) fail_compose(cat("service ", go_quote(name), " is not a mapping"));
    write_out(services[name]);
  }
  for (const auto& [name, _] : services.items()) out[name] = extended(services, name, 0);
  return out;
}

Json load_file(const std::string& text, const Environment& environment) {
  Json raw = yaml::yaml_to_json(text);
  if (!raw.is_object()) fail_compose("not a compose file: it is not a mapping");
  if (raw.contains("include")) fail_compose("include is not supported", "give the files with -f");
  follow_merge_keys(raw);
  Json out = Json::object();
  for (const char* key : {"services", "secrets"}) {
    if (!raw.contains(key) || raw[key].is_null()) continue;
    interpolate_all(raw[key], environment);
    out[key] = std::string_view(key) == "services" ? load_services(raw[key]) : raw[key];
  }
  if (out.empty()) fail_compose("empty compose file");
  return out;
}

/// The value of a line of a file ".env", behind "=".
std::string env_value(std::string_view text, const Environment& environment) {
  text = trim(text);
  const char quote = text.empty() ? '\0' : text.front();
  if (quote == '\'' || quote == '"') {
    const auto end = text.find(quote, 1);
    std::string inner(text.substr(1, end == std::string_view::npos ? end : end - 1));
    if (quote == '\'') return inner;
    return interpolate(replace_all(std::move(inner), "\\n", "\n"), environment);
  }
  const auto comment = text.find(" #");
  return interpolate(std::string(trim(text.substr(0, comment))), environment);
}

}  // namespace

std::string scalar_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "";
  if (value.is_structured()) fail_compose("a text is required, not a list or mapping");
  return value.dump();
}

std::string interpolate(const std::string& text, const Environment& environment) {
  return interpolate_nested(text, environment, 0);
}

Environment parse_env_file(const std::string& text, const Environment& environment) {
  Environment out, known = environment;
  for (const std::string& raw : split(text, '\n')) {
    std::string_view line = trim(raw);
    if (line.starts_with("export ")) line = trim(line.substr(7));
    const auto equals = line.find('=');
    if (line.empty() || line.starts_with('#') || equals == std::string_view::npos) continue;
    const std::string name(trim(line.substr(0, equals)));
    out[name] = env_value(line.substr(equals + 1), known);
    known.emplace(name, out[name]);
  }
  return out;
}

Json load_compose(const std::vector<BakeFile>& files, const Environment& environment) {
  Json out = Json::object();
  for (const BakeFile& file : files) {
    try {
      merge_json(out, load_file(file.text, environment));
    } catch (Error& error) {
      error.add_context(file.name);
      throw;
    }
  }
  return out;
}

}  // namespace cbuild::bake
