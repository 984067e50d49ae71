// SPDX-License-Identifier: Apache-2.0
// Runs git so that neither a repository nor the user's configuration can make it do more than fetch and check out:
// configuration through the environment, which a repository cannot override, no prompts, no helpers, ssh without the
// user's keys. Transfers that stall are ended (git_pace.h). Git's messages are sorted into errors with a hint, and
// secrets are cut out of them.
#include "solver/sources/git_program.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "solver/sources/git_pace.h"

namespace cbuild::solver::ops {

namespace {

constexpr std::chrono::hours kTimeout{6};
constexpr std::size_t kMaxOutput = 16u << 20, kMostText = 1000;

/// Configuration of every command. A repository cannot change it: the environment beats its config file.
const std::vector<std::pair<std::string, std::string>>& hardening() {
  static const std::vector<std::pair<std::string, std::string>> kTable = {
      {"advice.detachedHead", "false"},    {"core.fsmonitor", "false"},
      {"core.hooksPath", "/dev/null"},     {"core.logAllRefUpdates", "false"},
      {"core.protectHFS", "true"},         {"core.protectNTFS", "true"},
      {"credential.helper", ""},           {"gc.auto", "0"},
      {"http.followRedirects", "initial"}, {"init.defaultBranch", "master"},
      {"maintenance.auto", "false"},       {"protocol.allow", "never"},
      {"protocol.file.allow", "user"},     {"protocol.git.allow", "always"},
      {"protocol.http.allow", "always"},   {"protocol.https.allow", "always"},
      {"protocol.ssh.allow", "always"},    {"submodule.recurse", "false"},
      {"transfer.bundleURI", "false"},     {"uploadpack.allowAnySHA1InWant", "true"},
  };
  return kTable;
}

constexpr const char* kInherited[] = {"PATH",
                                      "HTTP_PROXY",
                                      "HTTPS_PROXY",
                                      "NO_PROXY",
                                      "ALL_PROXY",
                                      "http_proxy",
                                      "https_proxy",
                                      "no_proxy",
                                      "all_proxy",
                                      "SSL_CERT_FILE",
                                      "SSL_CERT_DIR",
                                      "GIT_SSL_CAINFO",
                                      "GIT_HTTP_LOW_SPEED_LIMIT",
                                      "GIT_HTTP_LOW_SPEED_TIME"};

/// A server that packs a large repository sends a few bytes of progress a second meanwhile.
constexpr std::uint64_t kMostGitRate = 10;
constexpr int kGitWindows = 4;
/// After git's own limit, whose message says more.
constexpr int kWatchedWindows = 5;
constexpr const char* kOwnLimits[] = {"GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME"};

/// The lines that matter of git's messages.
std::string said(const CommandResult& result) {
  std::vector<std::string> lines;
  for (const std::string& line : split(result.err, '\n')) {
    const std::string_view text = trim(line);
    if (!text.empty() && !text.starts_with("hint:")) lines.emplace_back(text);
  }
  std::string out = join(lines, "; ");
  if (out.size() > kMostText) out = cat(out.substr(0, kMostText), "...");
  return out;
}

/// Commands that talk to a server.
bool is_watched(const std::vector<std::string>& arguments) {
  static constexpr std::string_view kCommands[] = {"fetch", "ls-remote", "submodule"};
  const bool talks = !arguments.empty() && std::ranges::find(kCommands, arguments.front()) != std::end(kCommands);
  return talks && std::ranges::none_of(kOwnLimits, [](const char* name) { return std::getenv(name) != nullptr; });
}

bool has(const std::string& text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return text.find(part) != std::string::npos; });
}

}  // namespace

GitProgram::GitProgram(const CancelSource* cancel, const http::TransferLimits& limits)
    : cancel_(cancel),
      connect_(std::max(std::chrono::seconds(1), std::chrono::ceil<std::chrono::seconds>(limits.connect))),
      rate_(std::clamp<std::uint64_t>(limits.rate, 1, kMostGitRate)),
      window_(std::chrono::ceil<std::chrono::seconds>(limits.window)) {
  configure("http.lowSpeedLimit", std::to_string(rate_));
  configure("http.lowSpeedTime", std::to_string((window_ * kGitWindows).count()));
}

void GitProgram::authorize(const std::string& scope, const std::string& header) {
  authorized_ = true;
  secrets_.push_back(header);
  for (const std::string& word : split(header, ' '))
    if (word.size() >= 8) secrets_.push_back(word);
  configure(cat("http.", scope, ".extraHeader"), cat("Authorization: ", header));
  // git asks the server it was redirected to with all its headers.
  configure("http.followRedirects", "false");
}

void GitProgram::use_ssh(std::string agent_socket, std::string known_hosts) {
  agent_socket_ = std::move(agent_socket);
  known_hosts_ = std::move(known_hosts);
}

std::vector<std::string> GitProgram::environment() const {
  std::vector<std::string> out = {"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/dev/null",
                                  "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false",      "SSH_ASKPASS=/bin/false",
                                  "GIT_ATTR_NOSYSTEM=1",   "GIT_TEMPLATE_DIR=",           "LC_ALL=C"};
  for (const char* name : kInherited)
    if (const char* value = std::getenv(name)) out.push_back(cat(name, "=", value));
  std::string ssh = "ssh -F /dev/null -o LogLevel=ERROR -o BatchMode=yes -o StrictHostKeyChecking=accept-new";
  ssh += cat(" -o ConnectTimeout=", connect_.count(), " -o ServerAliveInterval=15 -o ServerAliveCountMax=4");
  // ssh expands the variables itself, so that a path may hold anything.
  ssh += " -o 'UserKnownHostsFile=\"${CBUILD_KNOWN_HOSTS}\" \"${CBUILD_USER_KNOWN_HOSTS}\"'";
  const char* home = std::getenv("HOME");
  out.push_back(cat("CBUILD_KNOWN_HOSTS=", known_hosts_));
  out.push_back(cat("CBUILD_USER_KNOWN_HOSTS=", home == nullptr ? "" : home, "/.ssh/known_hosts"));
  if (agent_socket_.empty())
    ssh += " -o IdentityAgent=none -o IdentityFile=none";
  else
    out.push_back(cat("SSH_AUTH_SOCK=", agent_socket_));
  out.push_back(cat("GIT_SSH_COMMAND=", ssh));
  std::size_t count = 0;
  for (const auto* table : {&hardening(), &config_}) {
    for (const auto& [key, value] : *table) {
      out.push_back(cat("GIT_CONFIG_KEY_", count, "=", key));
      out.push_back(cat("GIT_CONFIG_VALUE_", count, "=", value));
      ++count;
    }
  }
  out.push_back(cat("GIT_CONFIG_COUNT=", count));
  return out;
}

std::string GitProgram::redact(std::string text) const {
  for (const std::string& secret : secrets_) text = replace_all(std::move(text), secret, "***");
  return sanitize_for_terminal(text);
}

CommandResult GitProgram::try_run(const std::vector<std::string>& arguments, const Place& place) const {
  std::vector<std::string> argv = {"git"};
  if (!place.git_dir.empty()) argv.push_back(cat("--git-dir=", place.git_dir));
  if (!place.work_tree.empty()) argv.push_back(cat("--work-tree=", place.work_tree));
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  CommandOptions options{.timeout = kTimeout,
                         .limit = kMaxOutput,
                         .environment = environment(),
                         .directory = place.work_tree.empty() ? "/" : place.work_tree,
                         .cancel = cancel_};
  GitPace pace(window_ * kWatchedWindows, rate_);
  if (is_watched(arguments)) {
    options.watch = [&](pid_t group) { pace.look(group); };
    options.watch_every = pace.interval();
  }
  try {
    return run_command(argv, options);
  } catch (Error& error) {
    if (error.code() == ErrorCode::network) error.add_context(cat("git ", arguments.front()));
    if (error.code() == ErrorCode::not_found) error.with_hint("git sources need the git program; install it");
    throw;
  }
}

std::string GitProgram::run(const std::vector<std::string>& arguments, const Place& place) const {
  CommandResult result = try_run(arguments, place);
  if (result.exit_code != 0) fail(result, cat("git ", arguments.empty() ? "" : arguments.front()));
  return std::move(result.out);
}

void GitProgram::fail(const CommandResult& result, const std::string& doing) const {
  const std::string text = said(result);
  ErrorCode code = ErrorCode::network;
  std::string hint;
  if (authorized_ && has(text, {"returned error: 30", "redirect"})) {
    hint = "the server redirects, and credentials are not taken along; give the URL that it redirects to";
  } else if (has(text, {"HOST IDENTIFICATION HAS CHANGED"})) {
    code = ErrorCode::denied;
    hint =
        cat("the server has another key than when it was first asked; if that is right, remove it from ", known_hosts_);
  } else if (has(text, {"Permission denied (", "Host key verification failed"})) {
    code = ErrorCode::denied;
    hint = agent_socket_.empty() ? "give the build an agent that has the key: --ssh default"
                                 : "the server takes none of the keys that the agent of --ssh default has";
  } else if (has(text, {"Authentication failed", "could not read Username", "returned error: 401",
                        "returned error: 403", "terminal prompts disabled"})) {
    code = ErrorCode::denied;
    hint = "private repositories need --secret id=GIT_AUTH_TOKEN,...";
  } else if (has(text, {"not found", "does not exist", "not appear to be a git repository"})) {
    code = ErrorCode::not_found;
    hint = "is the URL right? servers also hide private repositories: --secret id=GIT_AUTH_TOKEN,...";
  } else if (has(text, {"Operation too slow"})) {
    hint = "the limits can be changed with --transfer-limits or GIT_HTTP_LOW_SPEED_LIMIT and GIT_HTTP_LOW_SPEED_TIME";
  } else if (has(text, {"transport '"})) {
    code = ErrorCode::input;
    hint = "repositories are read over https, http, ssh and git only";
  }
  throw Error(code, redact(cat(doing, ": ", text.empty() ? cat("exit code ", result.exit_code) : text)))
      .with_hint(hint);
}

}  // namespace cbuild::solver::ops
