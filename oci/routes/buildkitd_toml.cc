// SPDX-License-Identifier: Apache-2.0
// The registries of a buildkitd.toml, for those who move from a builder of buildx and keep its file.
#include "oci/routes/buildkitd_toml.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "oci/routes/certificates.h"
#include "oci/routes/toml_text.h"

namespace cbuild::oci::routes {
namespace {

using Json = nlohmann::ordered_json;

/// "host[:port][/path]", also with a scheme; the path comes behind that of the API.
http::Url parse_mirror(const ConfigTable& table, const std::string& text) {
  const bool has_scheme = text.starts_with("http://") || text.starts_with("https://");
  auto out = http::parse_url(has_scheme ? text : "https://" + text);
  if (!out || !out->query.empty()) table.refuse("mirrors", cat(go_quote(text), " is not HOST[:PORT][/PATH]"));
  const std::string path = clean_path(out->path);
  out->path = path == "/" ? "/v2" : "/v2" + path;
  return *out;
}

struct RegistryReader {
  const ConfigTable table;
  const std::string& file;
  const std::string& directory;

  std::string absolute(const std::string& path) const {
    return path.starts_with('/') ? path : join_path(directory, path);
  }

  BuildkitRegistry read(const std::string& host) const {
    BuildkitRegistry out;
    out.host = to_lower(host);
    for (const std::string& mirror : table.texts("mirrors")) out.mirrors.push_back(parse_mirror(table, mirror));
    if (table.find("http") != nullptr) out.http = table.truth("http");
    out.tls.verify = !table.truth("insecure");
    for (const std::string& ca : table.texts("ca")) out.tls.extra_ca += read_certificate(absolute(ca)) + "\n";
    for (const Json* pair : table.tables("keypair")) {
      const ConfigTable members(*pair, file);
      const std::string certificate = members.text("cert"), key = members.text("key");
      if (certificate.empty() || key.empty()) table.refuse("keypair", "has no cert or no key");
      out.clients.push_back(checked_pair(absolute(certificate), absolute(key)));
    }
    for (const std::string& path : table.texts("tlsconfigdir"))
      read_certificate_directory(absolute(path), out.tls.extra_ca, out.clients);
    return out;
  }
};

}  // namespace

const BuildkitRegistry* BuildkitFile::find(const std::string& host) const {
  const auto known = std::find_if(registries.begin(), registries.end(),
                                  [&](const BuildkitRegistry& entry) { return entry.host == host; });
  return known == registries.end() ? nullptr : &*known;
}

BuildkitFile parse_buildkitd_toml(std::string_view text, const std::string& file, const std::string& directory) {
  const Json document = parse_toml(text, file);
  const ConfigTable top(document, file);
  BuildkitFile out;
  out.file = file;
  const Json* registries = top.find("registry");
  if (registries == nullptr) return out;
  if (!registries->is_object()) top.refuse("registry", "is not a table");
  for (const auto& [host, table] : registries->items()) {
    if (!table.is_object()) top.refuse("registry", cat(go_quote(host), " is not a table"));
    out.registries.push_back(RegistryReader{ConfigTable(table, file), file, directory}.read(host));
  }
  return out;
}

}  // namespace cbuild::oci::routes
