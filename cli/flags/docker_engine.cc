// SPDX-License-Identifier: Apache-2.0
// Docker's contexts: $DOCKER_CONFIG/contexts/meta/SHA256-OF-NAME/meta.json, certificates in contexts/tls/…/docker.
#include "cli/flags/docker_engine.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/digest.h"
#include "base/error.h"
#include "base/plain_file.h"
#include "base/process/environment.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

using ContextJson = nlohmann::json;
using exporter::EngineAddress;
constexpr std::size_t kMostMeta = 1u << 20;

bool exists(const std::string& path) { return sys::try_stat_at(AT_FDCWD, path, 0).has_value(); }

std::string member(const ContextJson& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

void use_certificates(EngineAddress& out, const std::string& directory, bool verify) {
  out.has_tls = true;
  out.tls.verify = verify;
  if (const auto ca = sys::try_read_plain(AT_FDCWD, join_path(directory, "ca.pem"), kMostMeta)) out.tls.extra_ca = *ca;
  if (!exists(join_path(directory, "cert.pem"))) return;
  out.tls.certificate = join_path(directory, "cert.pem");
  out.tls.key = join_path(directory, "key.pem");
}

/// DOCKER_TLS (no verification), DOCKER_TLS_VERIFY and DOCKER_CERT_PATH go with DOCKER_HOST.
EngineAddress of_host(const std::string& host, const std::string& source) {
  EngineAddress out{host, {}, false, source};
  const bool verified = !environment_value("DOCKER_TLS_VERIFY").empty();
  if (!verified && environment_value("DOCKER_TLS").empty()) return out;
  const std::string directory = environment_value("DOCKER_CERT_PATH");
  use_certificates(out, directory.empty() ? docker_directory() : directory, verified);
  return out;
}

EngineAddress of_context(const std::string& name, const std::string& source) {
  const std::string id = sha256(name).hex(), directory = join_path(docker_directory(), "contexts");
  const auto text = sys::try_read_plain(AT_FDCWD, join_path(directory, cat("meta/", id, "/meta.json")), kMostMeta);
  const ContextJson meta = text ? ContextJson::parse(*text, nullptr, false) : ContextJson();
  if (!text) throw Error(ErrorCode::usage, cat("docker context ", go_quote(name), " does not exist (", source, ")"));
  const auto endpoints = meta.is_object() ? meta.find("Endpoints") : meta.end();
  if (endpoints == meta.end() || !endpoints->is_object() || !endpoints->contains("docker"))
    throw Error(ErrorCode::usage, cat("docker context ", go_quote(name), " has no engine"));
  const ContextJson& docker = endpoints->at("docker");
  EngineAddress out;
  if (const std::string host = member(docker, "Host"); !host.empty()) out.url = host;
  out.source = cat("context ", name);
  const std::string tls = join_path(directory, cat("tls/", id, "/docker"));
  if (exists(tls)) use_certificates(out, tls, !docker.value("SkipTLSVerify", false));
  return out;
}

std::string current_context() {
  if (std::string name = environment_value("DOCKER_CONTEXT"); !name.empty()) return name;
  const std::string home = docker_directory();
  const auto text =
      home.empty() ? std::nullopt : sys::try_read_plain(AT_FDCWD, join_path(home, "config.json"), 4 * kMostMeta);
  return text ? member(ContextJson::parse(*text, nullptr, false), "currentContext") : std::string();
}

/// The first there is; Docker's usual one if there is none, so that the error names it.
EngineAddress first_socket() {
  const std::string runtime = environment_value("XDG_RUNTIME_DIR");
  EngineAddress out;
  std::vector<std::string> paths = {"/var/run/docker.sock"};
  if (!runtime.empty()) {
    paths.push_back(join_path(runtime, "docker.sock"));
    paths.push_back(join_path(runtime, "podman/podman.sock"));
  }
  paths.emplace_back("/run/podman/podman.sock");
  for (const std::string& path : paths)
    if (exists(path)) return {"unix://" + path, {}, false, {}};
  const std::string containerd = environment_value("CONTAINERD_ADDRESS"),
                    space = environment_value("CONTAINERD_NAMESPACE");
  if (!containerd.empty())
    return {
        cat("containerd://", containerd, space.empty() ? "" : "?namespace=", space), {}, false, "CONTAINERD_ADDRESS"};
  return out;
}

/// The file that describes a context.
std::string meta_file(const std::string& name) {
  return join_path(docker_directory(), cat("contexts/meta/", sha256(name).hex(), "/meta.json"));
}

}  // namespace

EngineAddress docker_engine(const std::string& context) {
  if (context.find("://") != std::string::npos) return of_host(context, "context=");
  const std::string host = environment_value("DOCKER_HOST");
  if (!context.empty() && context != "default") return of_context(context, "context=");
  if (!host.empty()) return of_host(host, "DOCKER_HOST");
  if (context.empty())
    if (const std::string name = current_context(); !name.empty() && name != "default")
      return of_context(name, environment_value("DOCKER_CONTEXT").empty() ? "config.json" : "DOCKER_CONTEXT");
  if (const std::string podman = environment_value("CONTAINER_HOST"); !podman.empty() && context.empty())
    return {podman, {}, false, "CONTAINER_HOST"};
  return first_socket();
}

std::string docker_context_name() {
  const std::string name = environment_value("DOCKER_HOST").empty() ? current_context() : std::string();
  return name.empty() ? "default" : name;
}

bool has_docker_context(const std::string& name) { return name == "default" || exists(meta_file(name)); }

}  // namespace cbuild::cli
