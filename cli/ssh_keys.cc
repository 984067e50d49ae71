// SPDX-License-Identifier: Apache-2.0
#include "cli/ssh_keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/plain_file.h"
#include "base/subprocess.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

constexpr std::size_t kMaxKey = 100u << 10;
constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ";
constexpr std::string_view kMagic{"openssh-key-v1\0", 15};

std::string read_key(const std::string& flag, const std::string& path) {
  auto text = sys::try_read_plain(AT_FDCWD, path, kMaxKey);
  if (!text) throw Error(ErrorCode::usage, cat(flag, ": ", path, " does not exist"));
  return std::move(*text);
}

/// The cipher that openssh's own format names behind its magic; "none" for a key in the clear.
std::string openssh_cipher(std::string_view text) {
  const std::size_t begin = text.find('\n');
  const std::size_t end = text.find(kEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  const auto body = base64_decode(trim(replace_all(std::string(text.substr(begin, end - begin)), "\r", "")));
  if (!body || !body->starts_with(kMagic) || body->size() < kMagic.size() + 4) return {};
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>((*body)[kMagic.size() + i]);
  return length > 64 ? std::string() : body->substr(kMagic.size() + 4, length);
}

std::vector<std::string> agent_environment() {
  std::vector<std::string> out;
  for (const char* name : {"PATH", "HOME"})
    if (const char* value = std::getenv(name)) out.push_back(cat(name, "=", value));
  out.push_back("SSH_ASKPASS_REQUIRE=never");
  return out;
}

void wait_for_socket(const std::string& path, const std::string& program) {
  constexpr std::int64_t kPatienceNs = 30'000'000'000;
  const timespec pause{0, 2'000'000};
  for (const std::int64_t begin = sys::monotonic_ns(); !sys::try_stat_at(AT_FDCWD, path); ::nanosleep(&pause, nullptr))
    if (sys::monotonic_ns() - begin > kPatienceNs) throw Error(ErrorCode::unsupported, cat(program, " does not start"));
}

bool find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const std::string& directory : split(path == nullptr ? "/usr/bin:/bin" : path, ':'))
    if (::access(cat(directory, "/", name).c_str(), X_OK) == 0) return true;
  return false;
}

[[noreturn]] void lack_of(const char* program) {
  throw Error(ErrorCode::unsupported, cat("--ssh with a key file needs ", program, ", which is not installed"))
      .with_hint("install openssh-client, or give the socket of an agent");
}

/// Ends the agent and takes its directory away when its stdin ends, which it does however the builder ends. ssh-agent
/// is set-group-id, so the kernel would not tell it of its parent's death.
constexpr char kMinder[] = "ssh-agent -D -a \"$1\" & agent=$!; cat; kill $agent; wait; rm -rf \"${1%/*}\"";

struct Pipe {
  UniqueFd reader, writer;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno(errno, "pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// An empty agent that listens at `socket`.
Child start_agent(const std::string& socket, int stdin_fd) {
  if (!find_program("ssh-agent")) lack_of("ssh-agent");
  if (!find_program("ssh-add")) lack_of("ssh-add");
  Child::Options options;
  options.argv = {"/bin/sh", "-c", kMinder, "sh", socket};
  options.environment = agent_environment();
  options.stdin_fd = stdin_fd;
  return Child::spawn(options);
}

void add_key(const std::string& socket, const std::string& id, const std::string& path) {
  const std::string text = read_key(cat("--ssh ", id), path);
  CommandOptions options;
  options.environment = agent_environment();
  options.environment->push_back(cat("SSH_AUTH_SOCK=", socket));
  options.input = text;
  const CommandResult result = run_command({"ssh-add", "-q", "-"}, options);
  if (result.exit_code != 0) throw Error(ErrorCode::input, cat("--ssh ", id, ": ", path, ": ", trim(result.err)));
}

}  // namespace

struct KeyAgents::Agent {
  TempDir directory;
  UniqueFd lifeline;
  Child program;
};

void check_ssh_key(const std::string& flag, const std::string& path) {
  std::string text;
  try {
    text = read_key(flag, path);
  } catch (const Error& error) {
    throw Error(ErrorCode::usage, cat(flag, ": ", error.message()));
  }
  const std::size_t begin = text.find(kBegin);
  const std::string kind = begin == std::string::npos ? "" : text.substr(begin, text.find('\n', begin) - begin);
  if (kind.find("PRIVATE KEY-----") == std::string::npos)
    throw Error(ErrorCode::usage, cat(flag, ": ", path, " is neither a socket nor a private key"));
  bool encrypted = kind.find("ENCRYPTED") != std::string::npos || text.find("Proc-Type: 4,ENCRYPTED") < text.size();
  if (kind.find("OPENSSH") != std::string::npos) {
    const std::string cipher = openssh_cipher(std::string_view(text).substr(begin));
    if (cipher.empty()) throw Error(ErrorCode::usage, cat(flag, ": ", path, " is a damaged private key"));
    encrypted = cipher != "none";
  }
  if (encrypted)
    throw Error(ErrorCode::usage, cat(flag, ": the key ", path, " is encrypted"))
        .with_hint("add it to an agent with ssh-add, and give that: --ssh default");
}

KeyAgents::KeyAgents() = default;
KeyAgents::~KeyAgents() = default;

std::vector<SshOption> KeyAgents::serve(const std::vector<SshOption>& options) {
  std::vector<SshOption> out = options;
  for (SshOption& option : out) {
    if (option.keys.empty()) continue;
    TempDir directory = TempDir::in_tmp("cbuild-agent-");
    const std::string socket = cat(directory.path(), "/socket");
    Pipe pipe = make_pipe();
    Child program = start_agent(socket, pipe.reader.get());
    agents_.push_back(std::make_unique<Agent>(Agent{std::move(directory), std::move(pipe.writer), std::move(program)}));
    wait_for_socket(socket, "ssh-agent");
    for (const std::string& key : option.keys) add_key(socket, option.id, key);
    option.socket = socket;
  }
  return out;
}

}  // namespace cbuild::cli
