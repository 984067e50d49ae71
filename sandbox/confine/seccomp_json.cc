// SPDX-License-Identifier: Apache-2.0
// A profile file -> the rules that count on this machine. The form is docker's: that of the runtime-spec, with
// conditions (capabilities, architectures, kernel) and a table of the architectures that belong together. All is
// checked before a step runs, and each complaint names the line.
#include "sandbox/confine/seccomp_json.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"
#include "sandbox/confine/json_places.h"

namespace cbuild::sandbox::confine {
namespace {

using ProfileJson = nlohmann::json;

constexpr std::array<std::string_view, 9> kActions = {
    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_LOG",   "SCMP_ACT_TRACE", "SCMP_ACT_TRAP", "SCMP_ACT_NOTIFY",
};
constexpr std::array<std::string_view, 7> kComparisons = {
    "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ"};
struct NamedArchitecture {
  std::string_view go, library;
};
constexpr std::array<NamedArchitecture, 6> kOwnArchitectures = {{{"amd64", "SCMP_ARCH_X86_64"},
                                                                 {"arm64", "SCMP_ARCH_AARCH64"},
                                                                 {"arm", "SCMP_ARCH_ARM"},
                                                                 {"riscv64", "SCMP_ARCH_RISCV64"},
                                                                 {"s390x", "SCMP_ARCH_S390X"},
                                                                 {"ppc64le", "SCMP_ARCH_PPC64LE"}}};

std::string own_architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#elif defined(__riscv)
  return "riscv64";
#elif defined(__s390x__)
  return "s390x";
#else
  return "ppc64le";
#endif
}

/// One file being read: its values by kind, and complaints with their lines.
class ProfileText {
 public:
  ProfileText(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  ProfileJson parse() const;
  /// One of `known`.
  std::string word(const ProfileJson& object, const char* key, JsonPath path,
                   std::span<const std::string_view> known) const;
  std::uint64_t number(const ProfileJson& object, const char* key, JsonPath path, std::uint64_t otherwise,
                       std::uint64_t most) const;
  std::vector<std::string> texts(const ProfileJson& object, const char* key, JsonPath path) const;
  const ProfileJson& list(const ProfileJson& object, const char* key, JsonPath path) const;
  [[noreturn]] void refuse(const JsonPath& path, const std::string& message, const std::string& hint = {}) const {
    refuse_line(json_line(text_, path), message, hint);
  }

 private:
  [[noreturn]] void refuse_line(std::size_t line, const std::string& message, const std::string& hint) const {
    throw Error(ErrorCode::usage, cat(name_, ":", line, ": ", message)).with_hint(hint);
  }

  const std::string_view text_;
  const std::string& name_;
};

/// In messages; a list or an object only by its kind.
std::string shown(const ProfileJson& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_structured() ? value.type_name() : value.dump();
}

JsonPath below(JsonPath path, std::variant<std::string, std::size_t> part) {
  path.push_back(std::move(part));
  return path;
}

const ProfileJson* value_at(const ProfileJson& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

ProfileJson ProfileText::parse() const {
  try {
    ProfileJson document = ProfileJson::parse(text_);
    if (document.is_object()) return document;
  } catch (const ProfileJson::parse_error& error) {
    refuse_line(line_of_byte(text_, error.byte == 0 ? 0 : error.byte - 1), "invalid JSON",
                "a profile is an object, as docker's profiles/seccomp/default.json");
  }
  refuse_line(1, "the profile is not an object", "as docker's profiles/seccomp/default.json");
}

std::string ProfileText::word(const ProfileJson& object, const char* key, JsonPath path,
                              std::span<const std::string_view> known) const {
  const ProfileJson* value = value_at(object, key);
  if (value == nullptr) refuse(path, cat(key, " is missing"));
  path.emplace_back(key);
  const std::string text = shown(*value);
  if (std::find(known.begin(), known.end(), text) != known.end()) return text;
  const std::vector<std::string> candidates(known.begin(), known.end());
  const auto near = suggest(text, candidates);
  refuse(path, cat("invalid ", key, " ", go_quote(text)),
         near ? cat("did you mean ", *near, "?") : cat("one of ", join(candidates, ", ")));
}

std::uint64_t ProfileText::number(const ProfileJson& object, const char* key, JsonPath path, std::uint64_t otherwise,
                                  std::uint64_t most) const {
  const ProfileJson* value = value_at(object, key);
  if (value == nullptr) return otherwise;
  path.emplace_back(key);
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() > most)
    refuse(path, cat("invalid ", key, " ", shown(*value)), cat("a number from 0 to ", most));
  return value->get<std::uint64_t>();
}

const ProfileJson& ProfileText::list(const ProfileJson& object, const char* key, JsonPath path) const {
  static const ProfileJson none = ProfileJson::array();
  const ProfileJson* value = value_at(object, key);
  if (value == nullptr) return none;
  path.emplace_back(key);
  if (!value->is_array()) refuse(path, cat(key, " is not a list"));
  return *value;
}

std::vector<std::string> ProfileText::texts(const ProfileJson& object, const char* key, JsonPath path) const {
  std::vector<std::string> out;
  const ProfileJson& values = list(object, key, path);
  path.emplace_back(key);
  for (const ProfileJson& value : values) {
    if (!value.is_string()) refuse(below(path, out.size()), cat("an entry of ", key, " is not a string"));
    out.push_back(value.get<std::string>());
  }
  return out;
}

std::string action_of(const ProfileText& text, const ProfileJson& object, const char* key, const JsonPath& path) {
  const std::string name = text.word(object, key, path, kActions);
  if (name == "SCMP_ACT_NOTIFY")
    text.refuse(below(path, key), "SCMP_ACT_NOTIFY needs a program that answers, which a build has not",
                "SCMP_ACT_ERRNO or SCMP_ACT_LOG");
  return name;
}

/// The machine's own, then those that belong to it: archMap of docker, or the list of the runtime-spec.
std::vector<std::string> architectures_of(const ProfileText& text, const ProfileJson& document,
                                          const ProfileConditions& conditions) {
  const auto own = std::find_if(kOwnArchitectures.begin(), kOwnArchitectures.end(),
                                [&](const auto& entry) { return entry.go == conditions.architecture; });
  std::vector<std::string> out = {own == kOwnArchitectures.end() ? "" : std::string(own->library)};
  for (const std::string& name : text.texts(document, "architectures", {}))
    if (name != out.front()) out.push_back(name);
  std::size_t index = 0;
  for (const ProfileJson& entry : text.list(document, "archMap", {})) {
    const JsonPath path = {"archMap", index++};
    if (!entry.is_object()) text.refuse(path, "an entry of archMap is not an object");
    if (entry.value("architecture", ProfileJson()) != out.front()) continue;
    for (const std::string& name : text.texts(entry, "subArchitectures", path)) out.push_back(name);
  }
  return out;
}

bool has_capability(const ProfileText& text, const std::string& name, const JsonPath& path,
                    const ProfileConditions& conditions) {
  const auto bit = capability_bit(name);
  if (!bit) text.refuse(path, cat("unknown capability ", go_quote(name)), similar_capability(name).value_or(""));
  return (conditions.capabilities & *bit) != 0;
}

bool has_kernel(const ProfileText& text, const ProfileJson& includes, const JsonPath& path,
                const ProfileConditions& conditions) {
  const ProfileJson* value = value_at(includes, "minKernel");
  unsigned major = 0, minor = 0;
  if (value == nullptr || !value->is_string() ||
      std::sscanf(value->get<std::string>().c_str(), "%u.%u", &major, &minor) != 2)
    text.refuse(below(path, "minKernel"), cat("invalid minKernel ", value == nullptr ? "" : shown(*value)),
                "two numbers, for example \"4.8\"");
  return std::pair(conditions.kernel_major, conditions.kernel_minor) >= std::pair(major, minor);
}

/// All capabilities of `includes` and none of `excludes`; one of the architectures of `includes` and none of those of
/// `excludes`.
bool holds(const ProfileText& text, const ProfileJson& rule, const JsonPath& path,
           const ProfileConditions& conditions) {
  bool result = true;
  for (const char* key : {"includes", "excludes"}) {
    const ProfileJson* value = value_at(rule, key);
    if (value == nullptr) continue;
    const JsonPath place = below(path, key);
    if (!value->is_object()) text.refuse(place, cat(key, " is not an object"));
    const bool wanted = key[0] == 'i';
    const std::vector<std::string> arches = text.texts(*value, "arches", place);
    const bool is_here = std::find(arches.begin(), arches.end(), conditions.architecture) != arches.end();
    result &= arches.empty() || is_here == wanted;
    std::size_t index = 0;
    for (const std::string& name : text.texts(*value, "caps", place))
      result &= has_capability(text, name, below(below(place, "caps"), index++), conditions) == wanted;
    if (value_at(*value, "minKernel") != nullptr) result &= has_kernel(text, *value, place, conditions) == wanted;
  }
  return result;
}

SeccompArgument argument_of(const ProfileText& text, const ProfileJson& value, const JsonPath& path) {
  if (!value.is_object()) text.refuse(path, "an entry of args is not an object");
  constexpr std::uint64_t kMostArguments = 5, kMost = ~std::uint64_t{0};
  SeccompArgument out;
  out.index = static_cast<std::uint32_t>(text.number(value, "index", path, 0, kMostArguments));
  out.value = text.number(value, "value", path, 0, kMost);
  out.value_two = text.number(value, "valueTwo", path, 0, kMost);
  out.comparison = text.word(value, "op", path, kComparisons);
  return out;
}

SeccompRule rule_of(const ProfileText& text, const ProfileJson& value, const JsonPath& path) {
  constexpr std::uint64_t kMostErrno = 4095;
  SeccompRule out;
  out.names = text.texts(value, "names", path);
  if (const ProfileJson* name = value_at(value, "name")) {  // as docker had it once
    if (!name->is_string()) text.refuse(below(path, "name"), "name is not a string");
    if (!name->get<std::string>().empty()) out.names.push_back(name->get<std::string>());
  }
  if (out.names.empty()) text.refuse(path, "a rule without names", "names: a list of system calls");
  out.action = action_of(text, value, "action", path);
  out.error = static_cast<std::uint32_t>(text.number(value, "errnoRet", path, 1, kMostErrno));
  std::size_t index = 0;
  for (const ProfileJson& entry : text.list(value, "args", path))
    out.arguments.push_back(argument_of(text, entry, below(below(path, "args"), index++)));
  return out;
}

SeccompProfile read_document(const ProfileText& text, const ProfileJson& document,
                             const ProfileConditions& conditions) {
  SeccompProfile profile;
  profile.default_action = action_of(text, document, "defaultAction", {});
  profile.default_error = static_cast<std::uint32_t>(text.number(document, "defaultErrnoRet", {}, 1, 4095));
  profile.architectures = architectures_of(text, document, conditions);
  std::size_t index = 0;
  for (const ProfileJson& entry : text.list(document, "syscalls", {})) {
    const JsonPath path = {"syscalls", index++};
    if (!entry.is_object()) text.refuse(path, "an entry of syscalls is not an object");
    SeccompRule made = rule_of(text, entry, path);
    if (holds(text, entry, path, conditions)) profile.rules.push_back(std::move(made));
  }
  return profile;
}

}  // namespace

ProfileConditions own_conditions(std::uint64_t capabilities) {
  ProfileConditions out{capabilities, own_architecture()};
  utsname name{};
  if (::uname(&name) == 0) std::sscanf(name.release, "%u.%u", &out.kernel_major, &out.kernel_minor);
  return out;
}

SeccompProfile parse_seccomp_profile(std::string_view text, const std::string& name,
                                     const ProfileConditions& conditions) {
  const ProfileText reader(text, name);
  SeccompProfile profile = read_document(reader, reader.parse(), conditions);
  profile.digest = sha256(text).str();
  return profile;
}

}  // namespace cbuild::sandbox::confine
