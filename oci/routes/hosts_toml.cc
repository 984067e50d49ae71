// SPDX-License-Identifier: Apache-2.0
// hosts.toml of containerd. The hosts of the file stand in for the registry in the order of the text, `server` at the
// end; the members at the top of the file are those of `server`.
#include "oci/routes/hosts_toml.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/routes/certificates.h"
#include "oci/routes/toml_text.h"

namespace cbuild::oci::routes {
namespace {

using Json = nlohmann::ordered_json;

struct HostReader {
  const ConfigTable table;
  const std::string& directory;

  std::string absolute(const std::string& path) const {
    return path.starts_with('/') ? path : join_path(directory, path);
  }

  /// "https" without a scheme; the path is the API's root, with "/v2" unless the file says that it is complete.
  http::Url url(const std::string& text) const {
    auto out = http::parse_url(text.starts_with("http://") || text.starts_with("https://") ? text : "https://" + text);
    if (!out || !out->query.empty()) table.refuse("host", cat(go_quote(text), " is not a URL of a host"));
    std::string path = clean_path(out->path);
    if (path == "/") path.clear();
    if (!path.ends_with("/v2") && !table.truth("override_path")) path += "/v2";
    out->path = path.empty() ? "/" : path;
    return *out;
  }

  void read_capabilities(HostEntry& out) const {
    const std::vector<std::string> names = table.texts("capabilities");
    if (names.empty()) return;
    out.pulls = out.resolves = false;
    for (const std::string& name : names) {
      if (iequals(name, "pull")) {
        out.pulls = true;
      } else if (iequals(name, "resolve")) {
        out.resolves = true;
      } else if (!iequals(name, "push")) {
        table.refuse("capabilities", cat(go_quote(name), " is not pull, resolve or push"));
      }
    }
  }

  /// A file with certificate and key, or a pair ["cert", "key"].
  ClientPair read_pair(const Json& value) const {
    const Json list = value.is_array() ? value : Json::array({value});
    const auto is_text = [](const Json& part) { return part.is_string(); };
    if (list.empty() || list.size() > 2 || !std::all_of(list.begin(), list.end(), is_text))
      table.refuse("client", "is not a file or a pair of files");
    const std::string certificate = absolute(list.front().get<std::string>());
    const std::string key = list.back().get<std::string>();
    return checked_pair(certificate, key.empty() ? certificate : absolute(key));
  }

  /// "file", or a list whose entries are files or pairs.
  void read_clients(HostEntry& out) const {
    const Json* value = table.find("client");
    if (value == nullptr) return;
    if (!value->is_array()) return out.clients.push_back(read_pair(*value));
    for (const Json& entry : *value) out.clients.push_back(read_pair(entry));
  }

  void read_headers(HostEntry& out) const {
    const Json* headers = table.find("header");
    if (headers == nullptr) return;
    if (!headers->is_object()) table.refuse("header", "is not a table");
    for (const auto& [name, unused] : headers->items())
      for (const std::string& value : ConfigTable(*headers, file).texts(name.c_str())) {
        const bool breaks = (name + value).find_first_of("\r\n") != std::string::npos;
        if (breaks || name.empty()) table.refuse("header", cat(go_quote(name), " is not a header"));
        out.headers.emplace_back(name, value);
      }
  }

  HostEntry read() const {
    HostEntry out;
    read_capabilities(out);
    for (const std::string& ca : table.texts("ca")) out.tls.extra_ca += read_certificate(absolute(ca)) + "\n";
    read_clients(out);
    out.tls.verify = !table.truth("skip_verify");
    read_headers(out);
    if (const std::string dial = table.text("dial_timeout"); !dial.empty()) {
      const auto ns = parse_duration_ns(dial);
      if (!ns || *ns <= 0) table.refuse("dial_timeout", cat(go_quote(dial), " is not a time"));
      out.dial = std::chrono::milliseconds(std::max<std::int64_t>(*ns / 1'000'000, 1));
    }
    return out;
  }

  const std::string& file;
};

}  // namespace

HostsFile parse_hosts_toml(std::string_view text, const std::string& file, const std::string& directory) {
  const Json document = parse_toml(text, file);
  const HostReader top{ConfigTable(document, file), directory, file};
  HostsFile out;
  out.file = file;
  out.server = top.read();
  if (const std::string server = top.table.text("server"); !server.empty()) out.server.url = top.url(server);
  const Json* hosts = top.table.find("host");
  if (hosts == nullptr) return out;
  if (!hosts->is_object()) top.table.refuse("host", "is not a table");
  for (const auto& [name, table] : hosts->items()) {
    if (!table.is_object()) top.table.refuse("host", cat(go_quote(name), " is not a table"));
    const HostReader reader{ConfigTable(table, file), directory, file};
    out.mirrors.push_back(reader.read());
    out.mirrors.back().url = reader.url(name);
  }
  return out;
}

std::vector<std::string> hosts_directories(const std::string& registry) {
  std::vector<std::string> out;
  if (const std::size_t colon = registry.rfind(':'); colon != std::string::npos && colon > 0)
    out.push_back(cat(registry.substr(0, colon), '_', registry.substr(colon + 1), '_'));
  out.push_back(registry);
  out.emplace_back("_default");
  return out;
}

}  // namespace cbuild::oci::routes
