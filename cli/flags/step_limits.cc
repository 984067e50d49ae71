// SPDX-License-Identifier: Apache-2.0
// Values of the flags about steps: --step-timeout, --add-host, --allow. All of them are checked when the
// command line is read: a mistake must not show up after minutes of building.
#include "cli/flags/step_limits.h"

#include <arpa/inet.h>
#include <fcntl.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/text.h"
#include "base/words.h"
#include "exporter/destination.h"
#include "sandbox/network/egress_rules.h"
#include "sandbox/network/networks.h"
#include "sandbox/trust/certificates.h"

namespace cbuild::cli {
namespace {

[[noreturn]] void refuse_limit(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

}  // namespace

std::int64_t parse_step_timeout(const std::string& text) {
  const auto ns = parse_duration_ns(text);
  if (!ns || *ns < 0)
    refuse_limit(cat("--step-timeout: '", text, "' is not a duration"), "write a number with a unit: 90s, 10m");
  return *ns;
}

std::string parse_extra_host(const std::string& text) {
  std::size_t at = text.find('=');
  if (at == std::string::npos) at = text.find(':');
  if (at == std::string::npos || at == 0 || at + 1 == text.size())
    refuse_limit(cat("--add-host: '", text, "' is not HOST:IP"));
  const auto ends_a_name = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 127 || c == '#'; };
  if (std::any_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), ends_a_name))
    refuse_limit(cat("--add-host: '", text.substr(0, at), "' is not the name of a host"));
  std::string ip = text.substr(at + 1);
  if (ip == "host-gateway") return cat(text.substr(0, at), '=', ip);  // the address depends on the network
  if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
  if (!is_address(ip))
    refuse_limit(cat("--add-host: '", ip, "' is not an IP address"), "HOST:IP, or HOST:host-gateway for this machine");
  return cat(text.substr(0, at), '=', ip);
}

void check_network(const std::string& name) {
  const auto is_name_character = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
           c == '-';
  };
  if (!std::all_of(name.begin(), name.end(), is_name_character) || name.starts_with('-') || name.starts_with('.'))
    refuse_limit(cat("--network: invalid name '", name, "'"),
                 "default, host, none, sandbox, or the name of a CNI network");
}

std::vector<std::string> parse_allowed_hosts(const std::vector<std::string>& given, const std::string& network) {
  std::vector<std::string> out;
  for (const std::string& text : given)
    for (const std::string& rule : split(text, ',')) out.emplace_back(trim(rule));
  const sandbox::network::EgressRules checked(out);
  if (!out.empty() && !network.empty() && network != "default" && network != sandbox::network::kSandbox)
    refuse_limit(cat("--allow-net: steps have the network '", network, "', which is not restricted"),
                 "leave out --network, or use --network=sandbox");
  return out;
}

std::string read_ca_certificates(const std::string& file) {
  constexpr std::size_t kMaxFile = 4u << 20;
  const auto text = sys::try_read_plain(AT_FDCWD, file, kMaxFile, sys::Pipes::taken);
  if (!text) refuse_limit(cat("--ca-cert: ", file, " is missing"));
  std::vector<std::string> certificates;
  try {
    certificates = sandbox::trust::read_pem(*text);
  } catch (Error& error) {
    error.add_context(cat("--ca-cert: ", file));
    throw;
  }
  if (certificates.empty())
    refuse_limit(cat("--ca-cert: ", file, " has no certificate"), "a PEM file: -----BEGIN CERTIFICATE-----");
  return text->ends_with('\n') ? *text : *text + '\n';
}

void check_entitlement(const std::string& text) {
  static const std::vector<std::string> known = {"network.host",
                                                 "security.insecure",
                                                 "security.capabilities",
                                                 "security.seccomp",
                                                 "security.apparmor",
                                                 "security.label",
                                                 "device",
                                                 std::string(exporter::kLocalDelete)};
  if (std::find(known.begin(), known.end(), text) != known.end()) return;
  if (text.starts_with("device=") && text.size() > 7) return;
  if (text.starts_with(cat(exporter::kLocalDelete, "=")))
    refuse_limit(cat("--allow: ", exporter::kLocalDelete, " takes no value"));
  const auto near = suggest(text, known);
  refuse_limit(cat("--allow: unknown entitlement '", text, "'"),
               near ? cat("did you mean ", *near, "?")
                    : "network.host, security.insecure, security.capabilities, security.seccomp, security.apparmor, "
                      "security.label, device, device=NAME or buildx.local.delete");
}

void check_entitled(const sandbox::confine::Security& security, const std::vector<std::string>& allow) {
  const auto has = [&](std::string_view name) { return std::find(allow.begin(), allow.end(), name) != allow.end(); };
  for (const std::string& name : sandbox::confine::entitlements_of(security)) {
    if (has(name) || has("security.insecure")) continue;
    const auto flag = name == "security.capabilities" ? "--cap-add" : "--security-opt";
    refuse_limit(cat(flag, ": ", name, " is not allowed"), cat("pass --allow ", name, " to the build"));
  }
}

}  // namespace cbuild::cli
