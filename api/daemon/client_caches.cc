// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/client_caches.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "api/daemon/client_outputs.h"
#include "api/daemon/image_layouts.h"
#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using ImportsJson = nlohmann::json;

constexpr char kReadInfo[] = "/containerd.services.content.v1.Content/Info";

}  // namespace

void ClientCaches::describe(const moby::buildkit::v1::CacheOptions& options, const std::string& frontend_imports,
                            engine::CacheSettings& caches) {
  for (const auto& entry : options.exports())
    add_export(entry.type(), {entry.attrs().begin(), entry.attrs().end()}, caches);
  if (frontend_imports.empty()) {
    for (const auto& entry : options.imports())
      add_import(entry.type(), {entry.attrs().begin(), entry.attrs().end()}, caches);
    return;
  }
  const ImportsJson list = ImportsJson::parse(frontend_imports, nullptr, false);
  if (!list.is_array()) throw Error(ErrorCode::usage, "cache-imports is not a list in JSON");
  for (const ImportsJson& entry : list) {
    if (!entry.is_object()) throw Error(ErrorCode::usage, "cache-imports: an entry is not an object");
    Values values;
    const auto given = entry.find("Attrs");
    if (given != entry.end() && given->is_object())
      for (const auto& [key, value] : given->items())
        if (value.is_string()) values[key] = value.get<std::string>();
    add_import(entry.value("Type", std::string()), std::move(values), caches);
  }
}

void ClientCaches::add_import(const std::string& type, Values values, engine::CacheSettings& caches) {
  if (type == "local") {
    const auto digest = Digest::parse(values["digest"]);
    if (!digest || !session_ || !session_->offers(kReadInfo))
      throw Error(ErrorCode::usage, cat("cache import ", values["src"], ": the client does not offer its content"));
    const std::string path = new_directory();
    fetch_layout(*session_->content(cat("local:", values["src"]), &cancel_), *digest, path);
    values["src"] = path;
  }
  caches.from.push_back(cache::parse_cache_from(output_text(type, values)));
}

void ClientCaches::add_export(const std::string& type, Values values, engine::CacheSettings& caches) {
  if (type == "local") {
    if (!session_ || !session_->offers(kReadInfo))
      throw Error(ErrorCode::usage, cat("cache export ", values["dest"], ": the client does not offer its content"));
    const std::string path = new_directory();
    exports_[path] = values["dest"];
    values["dest"] = path;
    values.erase("reset");  // the client's own work
  }
  caches.to.push_back(cache::parse_cache_to(output_text(type, values)));
}

std::string ClientCaches::new_directory() {
  directories_.emplace_back(sys::open_at(AT_FDCWD, store_, O_PATH | O_DIRECTORY).get(), "client-cache-");
  return directories_.back().path();
}

void ClientCaches::finish() {
  for (const auto& [path, directory] : exports_)
    send_layout(path, *session_->content(cat("local:", directory), &cancel_));
}

}  // namespace cbuild::api
