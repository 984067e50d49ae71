// SPDX-License-Identifier: Apache-2.0
#include "sandbox/confine/security_options.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/text.h"
#include "base/words.h"
#include "sandbox/confine/seccomp_json.h"

namespace cbuild::sandbox::confine {
namespace {

constexpr std::size_t kMaxProfile = 4u << 20;
constexpr std::string_view kUnconfined = "unconfined";

[[noreturn]] void refuse_option(const std::string& message, const std::string& hint) {
  throw Error(ErrorCode::usage, message).with_hint(hint);
}

std::uint64_t set_of(const std::vector<std::string>& names, const char* flag) {
  std::uint64_t set = 0;
  for (const std::string& name : names) {
    if (iequals(name, "ALL")) continue;
    const auto bit = capability_bit(name);
    const auto near = bit ? std::nullopt : similar_capability(name);
    if (!bit)
      refuse_option(cat(flag, ": unknown capability '", name, "'"),
                    near ? cat("did you mean ", *near, "?") : "see capabilities(7), or ALL");
    set |= *bit;
  }
  return set;
}

bool has_all(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) { return iequals(name, "ALL"); });
}

/// As docker: what is dropped of the usual ones may be added again, and ALL goes first.
std::uint64_t capabilities_of(const SecurityTexts& texts) {
  const std::uint64_t added = set_of(texts.added, "--cap-add"), dropped = set_of(texts.dropped, "--cap-drop");
  if (has_all(texts.added)) return kAllCapabilities & ~dropped;
  return ((has_all(texts.dropped) ? 0 : kDefaultCapabilities) & ~dropped) | added;
}

void read_profile(const std::string& path, Security& security) {
  const auto text = sys::try_read_plain(AT_FDCWD, path, kMaxProfile);
  if (!text) refuse_option(cat("--security-opt: seccomp profile ", path, " does not exist"), "a file, or unconfined");
  security.seccomp = parse_seccomp_profile(*text, path, own_conditions(security.capabilities));
  compile_profile(security.seccomp);
}

void add_label(const std::string& value, Security& security) {
  static const std::vector<std::string> known = {"user", "role", "type", "level"};
  const std::size_t colon = std::min(value.find(':'), value.size());
  const bool is_part =
      colon + 1 < value.size() && std::find(known.begin(), known.end(), value.substr(0, colon)) != known.end();
  if (value != "disable" && !is_part)
    refuse_option(cat("--security-opt: invalid label '", value, "'"),
                  "label=disable, or user, role, type, level with a value: label=type:container_t");
  security.label_options.push_back(value);
}

void add_security_option(const std::string& text, Security& security) {
  const std::size_t at = text.find_first_of("=:");
  const std::string key = text.substr(0, at), value = at == std::string::npos ? "" : text.substr(at + 1);
  if (key == "no-new-privileges") {
    const auto wanted = at == std::string::npos ? std::optional(true) : parse_bool(value);
    if (!wanted) refuse_option(cat("--security-opt: '", value, "' is not a truth value"), "no-new-privileges=true");
    security.no_new_privileges = *wanted;
    return;
  }
  const bool known = key == "seccomp" || key == "apparmor" || key == "label";
  if (!known || value.empty())
    refuse_option(cat("--security-opt: ", known ? "no value in '" : "unknown option '", text, "'"),
                  "seccomp=FILE, apparmor=PROFILE, label=..., no-new-privileges");
  if (key == "apparmor") security.apparmor = value;
  if (key == "label") add_label(value, security);
  if (key != "seccomp") return;
  security.seccomp = {};
  security.filters_calls = value != kUnconfined;
  if (security.filters_calls && value != "builtin") read_profile(value, security);
}

}  // namespace

Security parse_security(const SecurityTexts& texts) {
  Security security;
  security.capabilities = capabilities_of(texts);
  for (const std::string& option : texts.options)
    if (!option.empty()) add_security_option(option, security);
  return security;
}

}  // namespace cbuild::sandbox::confine
