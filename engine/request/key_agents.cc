// SPDX-License-Identifier: Apache-2.0
// One ssh-agent for each source of private keys, started empty and filled by ssh-add. It runs below a shell that reads
// from a pipe of the builder, so that it ends with the builder, however that ends.
#include "engine/request/key_agents.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/plain_file.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::engine {
namespace {

using Environment = std::vector<std::string>;

/// Whether connections are taken. The socket is there a moment before, between bind and listen.
bool accepts(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

void wait_for_socket(const std::string& path, const std::string& program) {
  constexpr std::int64_t kTimeoutNs = 30'000'000'000;
  const timespec pause{0, 2'000'000};
  for (const std::int64_t begin = sys::monotonic_ns(); !accepts(path); ::nanosleep(&pause, nullptr))
    if (sys::monotonic_ns() - begin > kTimeoutNs) throw Error(ErrorCode::unsupported, cat(program, " does not start"));
}

bool has_program(std::string_view name, const Environment& environment) {
  std::string path = "/usr/bin:/bin";
  for (const std::string& variable : environment)
    if (variable.starts_with("PATH=")) path = variable.substr(5);
  return !find_program(name, path).empty();
}

[[noreturn]] void lack_of(const char* program) {
  throw Error(ErrorCode::unsupported, cat("--ssh with a key file needs ", program, ", which is not installed"))
      .with_hint("install openssh-client, or give the socket of an agent");
}

/// Ends the agent and takes its directory away when its stdin ends, which it does however the builder ends. ssh-agent
/// is set-group-id, so the kernel would not tell it of its parent's death.
constexpr char kAgentUntilEof[] = "ssh-agent -D -a \"$1\" & agent=$!; cat; kill $agent; wait; rm -rf \"${1%/*}\"";

/// An empty agent that listens at `socket`.
Child start_agent(const std::string& socket, int stdin_fd, const Environment& environment) {
  if (!has_program("ssh-agent", environment)) lack_of("ssh-agent");
  if (!has_program("ssh-add", environment)) lack_of("ssh-add");
  Child::Options options;
  options.argv = {"/bin/sh", "-c", kAgentUntilEof, "sh", socket};
  options.environment = environment;
  options.stdin_fd = stdin_fd;
  return Child::spawn(options);
}

void add_key(const std::string& socket, const std::string& id, const std::string& path,
             const Environment& environment) {
  const std::string text = read_private_key(cat("--ssh ", id), path);
  CommandOptions options;
  options.environment = environment;
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

std::string read_private_key(const std::string& flag, const std::string& path) {
  constexpr std::size_t kMaxKey = 100u << 10;
  auto text = sys::try_read_plain(AT_FDCWD, path, kMaxKey);
  if (!text) throw Error(ErrorCode::usage, cat(flag, ": ", path, " does not exist"));
  return std::move(*text);
}

KeyAgents::KeyAgents() = default;
KeyAgents::~KeyAgents() = default;

std::vector<SshSource> KeyAgents::serve(const std::vector<SshSource>& sources, const Environment& given) {
  std::vector<SshSource> out = sources;
  Environment environment = given;
  environment.emplace_back("SSH_ASKPASS_REQUIRE=never");
  for (SshSource& source : out) {
    if (source.keys.empty()) continue;
    TempDir directory = TempDir::in_tmp("cbuild-agent-");
    const std::string socket = cat(directory.path(), "/socket");
    Pipe pipe = make_pipe();
    Child program = start_agent(socket, pipe.read.get(), environment);
    agents_.push_back(std::make_unique<Agent>(Agent{std::move(directory), std::move(pipe.write), std::move(program)}));
    wait_for_socket(socket, "ssh-agent");
    for (const std::string& key : source.keys) add_key(socket, source.id, key, environment);
    source.socket = socket;
  }
  return out;
}

}  // namespace cbuild::engine
