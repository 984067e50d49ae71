// SPDX-License-Identifier: Apache-2.0
//
// Parsers of single values, apart from CLI11, so that each can be tested with words alone. They check all that can be
// known without a build: files that must exist, names, numbers, addresses.
#include "cli/flags/option_values.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/words.h"
#include "cli/flags/environment.h"
#include "cli/flags/ssh_keys.h"
#include "engine/remote_contexts.h"
#include "frontend/stages/lower_remote.h"
#include "frontend/text/grammar.h"
#include "oci/reference.h"
#include "sandbox/runner.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kMaxSecretBytes = 512u << 10;

[[noreturn]] void refuse_value(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

struct Field {
  std::string key, value;
};

std::vector<Field> fields_of(const std::string& text, const std::string& flag) {
  std::vector<std::string> fields;
  try {
    fields = frontend::parse_csv(text);
  } catch (const Error& error) {
    refuse_value(cat(flag, ": ", error.message()));
  }
  std::vector<Field> out;
  for (const std::string& field : fields) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos) refuse_value(cat(flag, ": '", field, "' is not key=value"));
    out.push_back({to_lower(trim(field.substr(0, equals))), field.substr(equals + 1)});
  }
  return out;
}

/// Of a file that is read when the build needs it.
struct stat named_file(const std::string& flag, const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) == 0) return st;
  const int err = errno;
  if (err == ENOENT || err == ENOTDIR) refuse_value(cat(flag, ": ", path, " does not exist"));
  try {
    throw_errno(err, cat(flag, ": ", path));
  } catch (const Error& error) {
    refuse_value(error.message());
  }
}

void check_secret_file(const SecretOption& secret) {
  const std::string flag = cat("--secret ", secret.id);
  const struct stat st = named_file(flag, secret.file);
  if (S_ISDIR(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISBLK(st.st_mode))
    refuse_value(cat(flag, ": ", secret.file, " is a ", sys::file_kind(st.st_mode), ", not a file"));
  if (S_ISREG(st.st_mode) && static_cast<std::size_t>(st.st_size) > kMaxSecretBytes)
    refuse_value(cat(flag, ": ", secret.file, " is larger than ", kMaxSecretBytes, " bytes"));
}

void set_secret_field(SecretOption& secret, std::string& type, const std::string& key, const std::string& value) {
  static const std::vector<std::string> known = {"id", "src", "source", "env", "type", "cache"};
  if (key == "id") {
    secret.id = value;
  } else if (key == "src" || key == "source") {
    secret.file = value;
  } else if (key == "env") {
    secret.env = value;
  } else if (key == "type") {
    if (value != "file" && value != "env")
      refuse_value(cat("--secret: unknown type '", value, "'"), "types: file, env");
    type = value;
  } else if (key == "cache") {
    if (value != "hash" && value != "none")
      refuse_value(cat("--secret: cache=", value, " is unknown"),
                   "hash (a changed value runs the steps again) or none");
    secret.hashed = value == "hash";
  } else {
    refuse_value(cat("--secret: unknown key '", key, "'"), word_hint(key, known, "keys"));
  }
}

bool is_directory(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

/// Also of a repository with a wrong query: the build reports it.
bool looks_remote(const std::string& text) {
  try {
    return engine::RemoteContexts::is_remote(text);
  } catch (const Error&) {
    return true;
  }
}

}  // namespace

void add_pairs(const std::vector<std::string>& from, const std::string& flag, bool from_environment,
               std::map<std::string, std::string>& to) {
  for (const std::string& text : from) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || text.empty()) refuse_value(cat(flag, ": '", text, "' has no name"));
    if (equals != std::string::npos) {
      to[text.substr(0, equals)] = text.substr(equals + 1);
    } else if (!from_environment) {
      to[text] = "";
    } else if (const char* value = std::getenv(text.c_str())) {
      to[text] = value;
    }
  }
}

SecretOption parse_secret(const std::string& text) {
  SecretOption secret;
  std::string type;
  for (const auto& [key, value] : fields_of(text, "--secret")) set_secret_field(secret, type, key, value);
  if (secret.id.empty())
    refuse_value("--secret: id is required", "--secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE");
  if (type == "env" && secret.env.empty()) secret.env = std::exchange(secret.file, "");
  if (secret.env.empty() && secret.file.empty()) {
    if (type != "file" && std::getenv(secret.id.c_str()))
      secret.env = secret.id;
    else
      secret.file = secret.id;
  }
  if (secret.env.empty()) check_secret_file(secret);
  return secret;
}

engine::SshSource parse_ssh(const std::string& text) {
  const std::size_t equals = text.find('=');
  engine::SshSource ssh;
  ssh.id = text.substr(0, equals);
  if (ssh.id.empty()) ssh.id = "default";
  const std::string flag = cat("--ssh ", ssh.id);
  std::string paths = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (paths.empty()) {
    const char* agent = std::getenv("SSH_AUTH_SOCK");
    if (agent == nullptr || *agent == '\0')
      refuse_value(cat("--ssh ", text, ": no agent"), "start ssh-agent, or give --ssh ID=SOCKET or --ssh ID=KEYFILE");
    paths = agent;
  }
  for (const std::string& path : split(paths, ',')) {
    const struct stat st = named_file(flag, path);
    if (S_ISSOCK(st.st_mode)) {
      if (!ssh.socket.empty()) refuse_value(cat(flag, ": more than one socket"));
      ssh.socket = path;
    } else if (S_ISREG(st.st_mode)) {
      check_ssh_key(flag, path);
      ssh.keys.push_back(path);
    } else {
      refuse_value(cat(flag, ": ", path, " is a ", sys::file_kind(st.st_mode), ", neither a socket nor a key"));
    }
  }
  if (!ssh.socket.empty() && !ssh.keys.empty()) refuse_value(cat(flag, ": a socket and keys exclude each other"));
  return ssh;
}

engine::Context to_context(const std::string& text) {
  if (text == "-") return engine::StreamContext{STDIN_FILENO};
  if (!is_directory(text) && looks_remote(text)) return engine::UrlContext{text};
  return engine::DirectoryContext{text};
}

engine::DockerfileSource to_dockerfile(const std::string& text) {
  if (text.empty()) return engine::DefaultDockerfile{};
  if (text == "-") return engine::StreamDockerfile{STDIN_FILENO};
  if (engine::RemoteContexts::is_url(text)) return engine::UrlDockerfile{text};
  return engine::NamedDockerfile{text};
}

Ulimit parse_ulimit(const std::string& text) {
  static const std::vector<std::string> known = {"core",    "cpu",      "data",   "fsize",      "locks",
                                                 "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                                 "rss",     "rtprio",   "rttime", "sigpending", "stack"};
  const auto parts = split(text, '=');
  const auto limits = parts.size() == 2 ? split(parts[1], ':') : std::vector<std::string>{};
  const auto soft = limits.empty() ? std::nullopt : parse_int(limits[0]);
  const auto hard = limits.size() == 2 ? parse_int(limits[1]) : soft;
  if (!soft || !hard || limits.size() > 2 || *soft < -1 || *hard < -1)
    refuse_value(cat("--ulimit: '", text, "' is not NAME=SOFT[:HARD]"));
  if (std::find(known.begin(), known.end(), parts[0]) == known.end())
    refuse_value(cat("--ulimit: unknown limit '", parts[0], "'"), word_hint(parts[0], known, "limits"));
  if (*hard != -1 && (*soft == -1 || *soft > *hard))
    refuse_value(cat("--ulimit ", parts[0], ": the soft limit is above the hard one"));
  return {parts[0], *soft, *hard};
}

std::vector<oci::Platform> parse_platforms(const std::vector<std::string>& values) {
  std::vector<oci::Platform> platforms;
  for (const std::string& value : values) {
    for (const std::string& name : split(value, ',')) {
      const auto platform = oci::parse_platform(trim(name));
      if (!platform)
        refuse_value(cat("--platform: ", name.empty() ? "an empty name" : cat("unknown platform '", name, "'")),
                     "for example linux/arm64");
      if (std::find(platforms.begin(), platforms.end(), *platform) == platforms.end()) platforms.push_back(*platform);
    }
  }
  return platforms;
}

supply::AttestationSettings to_attestations(std::vector<std::string> attests, const std::string& sbom,
                                            const std::string& provenance,
                                            const std::map<std::string, std::string>& build_args) {
  if (!provenance.empty()) attests.push_back(supply::as_attest("provenance", provenance));
  if (!sbom.empty()) attests.push_back(supply::as_attest("sbom", sbom));
  return supply::parse_attestations(attests, build_args, has_no_default_attestations());
}

void check_name(const std::string& flag, const std::string& name) {
  try {
    oci::parse_reference(name);
  } catch (const Error& error) {
    refuse_value(cat(flag, ": ", error.message()), "[REGISTRY/]REPOSITORY[:TAG], the repository in lower case");
  }
}

void check_dns(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  if (::inet_pton(AF_INET, text.c_str(), address.data()) == 1) return;
  if (::inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return;
  refuse_value(cat("--dns: '", text, "' is not an IP address"));
}

std::string parse_isolation(const std::string& text) {
  if (text.empty() || text == "default") return {};
  std::vector<std::string> known;
  for (const sandbox::Mode mode : {sandbox::Mode::root, sandbox::Mode::user_namespace, sandbox::Mode::masked_proc,
                                   sandbox::Mode::chroot, sandbox::Mode::none}) {
    known.emplace_back(sandbox::to_string(mode));
    if (known.back() == text) return text;
  }
  refuse_value(cat("--isolation: unknown mode '", text, "'"), word_hint(text, known, "modes"));
}

}  // namespace cbuild::cli
