// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/credential_helper.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/text.h"
#include "oci/json.h"

namespace cbuild::oci::registry {

namespace {

constexpr std::size_t kMaxHelperOutput = 1u << 20;
constexpr std::chrono::seconds kHelperTimeout{60};  // it may ask a person
constexpr char kTokenUser[] = "<token>";

bool is_program_suffix(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

/// stdout; nullopt where the helper says, by a message and an exit code, that it has nothing for the server.
std::optional<std::string> run_helper(const std::string& name, const char* command, const std::string& input,
                                      const std::string& server) {
  if (!is_program_suffix(name)) throw Error(ErrorCode::input, "credential helper name " + go_quote(name));
  const std::string program = "docker-credential-" + name;
  CommandResult result = run_command({program, command}, input, kHelperTimeout, kMaxHelperOutput);
  if (result.exit_code == 0) return std::move(result.out);
  const std::string said = result.out + result.err;
  if (said.find("credentials not found") != std::string::npos) return std::nullopt;
  throw Error(ErrorCode::denied, cat(program, " for ", server, " failed with exit code ", result.exit_code, ": ",
                                     sanitize_for_terminal(trim(said).substr(0, 400))));
}

}  // namespace

std::optional<Account> helper_get(const std::string& name, const std::string& server) {
  const std::optional<std::string> text = run_helper(name, "get", server, server);
  if (!text) return std::nullopt;
  Account out;
  out.source = "docker-credential-" + name;
  const nlohmann::json answer = json::parse_object(*text, kMaxHelperOutput, out.source);
  out.credentials.user = json::text(answer, "Username");
  const std::string secret = json::text(answer, "Secret");
  if (secret.empty()) return std::nullopt;
  if (out.credentials.user == kTokenUser) {
    out.credentials.user.clear();
    out.credentials.identity_token = secret;
  } else {
    out.credentials.password = secret;
  }
  return out;
}

void helper_store(const std::string& name, const std::string& server, const Credentials& credentials) {
  json::Writer out;
  const bool token = !credentials.identity_token.empty();
  out.begin_object().key("ServerURL").text(server);
  out.key("Username").text(token ? kTokenUser : credentials.user);
  out.key("Secret").text(token ? credentials.identity_token : credentials.password).end_object();
  if (!run_helper(name, "store", out.take(), server))
    throw Error(ErrorCode::denied, cat("docker-credential-", name, " did not store the account for ", server));
}

bool helper_erase(const std::string& name, const std::string& server) {
  return run_helper(name, "erase", server, server).has_value();
}

}  // namespace cbuild::oci::registry
