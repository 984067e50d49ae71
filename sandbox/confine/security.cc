// SPDX-License-Identifier: Apache-2.0
#include "sandbox/confine/security.h"

#include <algorithm>

#include "base/text.h"

namespace cbuild::sandbox::confine {
namespace {

std::vector<std::string> names_of_change(std::string_view word, std::uint64_t set) {
  std::vector<std::string> out;
  for (const std::string& name : capability_names(set)) out.push_back(cat(word, "=", name));
  return out;
}

}  // namespace

std::vector<std::string> key_texts(const Security& security) {
  std::vector<std::string> texts = names_of_change("cap-add", security.capabilities & ~kDefaultCapabilities);
  for (std::string& text : names_of_change("cap-drop", kDefaultCapabilities & ~security.capabilities))
    texts.push_back(std::move(text));
  if (!security.filters_calls) texts.emplace_back("seccomp=unconfined");
  if (!security.seccomp.default_action.empty()) texts.push_back(cat("seccomp=", security.seccomp.digest));
  if (security.no_new_privileges) texts.emplace_back("no-new-privileges");
  if (!security.apparmor.empty()) texts.push_back(cat("apparmor=", security.apparmor));
  for (const std::string& option : security.label_options) texts.push_back(cat("label=", option));
  return texts;
}

std::vector<std::string> entitlements_of(const Security& security) {
  std::vector<std::string> names;
  if ((security.capabilities & ~kDefaultCapabilities) != 0) names.emplace_back("security.capabilities");
  if (!security.filters_calls || !security.seccomp.default_action.empty()) names.emplace_back("security.seccomp");
  if (!security.apparmor.empty()) names.emplace_back("security.apparmor");
  if (!security.label_options.empty()) names.emplace_back("security.label");
  return names;
}

}  // namespace cbuild::sandbox::confine
