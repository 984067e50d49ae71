// SPDX-License-Identifier: Apache-2.0
// USER and --chown against the image's passwd and group files, with BuildKit's precedence: a number is
// an id and never a name, the first matching line wins, group membership counts only where no group is named.
// Lines whose ids are not plain numbers are skipped, as libc skips them; reading them as 0 would make a typo
// root.
#include "sandbox/ids/users.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::sandbox {
namespace {

constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();

struct PasswdEntry {
  std::string name, home;
  std::int64_t uid = 0, gid = 0;
};

struct GroupEntry {
  std::string name;
  std::int64_t gid = 0;
  std::vector<std::string> members;
};

/// The value of a user or group written as a number, as Go's Atoi reads it; nullopt for a name.
std::optional<std::int64_t> numeric_id(const std::string& text) {
  const bool is_signed = !text.empty() && (text[0] == '+' || text[0] == '-');
  const std::string digits = text.substr(is_signed ? 1 : 0);
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  const auto value = parse_int(digits);
  if (!value || *value > kMaxId || (text[0] == '-' && *value != 0))
    throw Error(ErrorCode::input, cat("user or group id ", text, " is outside of 0-", kMaxId));
  return value;
}

std::optional<std::int64_t> plain_id(const std::string& text) {
  if (text.empty() || text[0] == '-' || text[0] == '+') return std::nullopt;
  const auto value = parse_int(text);
  if (!value || *value < 0 || *value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return value;
}

/// Calls `visit` with the fields of every entry line until it returns true.
template <typename Visit>
void each_entry(const std::optional<std::string>& file, std::size_t min_fields, Visit visit) {
  if (!file) return;
  for (std::size_t begin = 0; begin < file->size();) {
    const std::size_t end = std::min(file->find('\n', begin), file->size());
    const std::string_view line = trim(std::string_view(*file).substr(begin, end - begin));
    begin = end + 1;
    if (line.empty() || line[0] == '#') continue;
    const auto fields = split(line, ':');
    if (fields.size() >= min_fields && visit(fields)) return;
  }
}

template <typename Accept>
std::optional<PasswdEntry> find_user(const std::optional<std::string>& file, Accept accept) {
  std::optional<PasswdEntry> found;
  each_entry(file, 4, [&](const std::vector<std::string>& fields) {
    const auto uid = plain_id(fields[2]), gid = plain_id(fields[3]);
    if (!uid || !gid) return false;
    PasswdEntry entry{fields[0], fields.size() > 5 ? fields[5] : "", *uid, *gid};
    if (!accept(entry)) return false;
    found = std::move(entry);
    return true;
  });
  return found;
}

template <typename Accept>
std::optional<GroupEntry> find_group(const std::optional<std::string>& file, Accept accept) {
  std::optional<GroupEntry> found;
  each_entry(file, 3, [&](const std::vector<std::string>& fields) {
    const auto gid = plain_id(fields[2]);
    if (!gid) return false;
    GroupEntry entry{fields[0], *gid, fields.size() > 3 ? split(fields[3], ',') : std::vector<std::string>{}};
    if (!accept(entry)) return false;
    found = std::move(entry);
    return true;
  });
  return found;
}

std::vector<gid_t> groups_of(const std::string& name, const std::optional<std::string>& group_file) {
  std::vector<gid_t> gids;
  find_group(group_file, [&](const GroupEntry& entry) {
    if (std::find(entry.members.begin(), entry.members.end(), name) != entry.members.end())
      gids.push_back(static_cast<gid_t>(entry.gid));
    return false;
  });
  return gids;
}

std::int64_t named_group(const std::string& group, const std::optional<std::string>& group_file) {
  if (const auto id = numeric_id(group)) return *id;
  const auto entry = find_group(group_file, [&](const GroupEntry& e) { return e.name == group; });
  if (!entry) throw Error(ErrorCode::input, cat("unable to find group ", group, ": no matching entries in group file"));
  return entry->gid;
}

std::pair<std::string, std::string> split_spec(const std::string& spec) {
  const auto colon = spec.find(':');
  if (colon == std::string::npos) return {spec, ""};
  return {spec.substr(0, colon), spec.substr(colon + 1)};
}

}  // namespace

ResolvedUser resolve_user(const std::string& user, const ImageFileReader& read) {
  const auto [name, group] = split_spec(user);
  const auto uid = name.empty() ? std::optional<std::int64_t>(0) : numeric_id(name);
  const auto entry =
      find_user(read("/etc/passwd"), [&](const PasswdEntry& e) { return uid ? e.uid == *uid : e.name == name; });
  if (!entry && !uid)
    throw Error(ErrorCode::input, cat("unable to find user ", name, ": no matching entries in passwd file"));

  ResolvedUser out;
  out.uid = static_cast<uid_t>(uid ? *uid : entry->uid);
  out.gid = entry ? static_cast<gid_t>(entry->gid) : 0;
  out.home = entry && !entry->home.empty() ? entry->home : "/";
  if (!group.empty() || entry) {
    const auto group_file = read("/etc/group");
    if (!group.empty())
      out.gid = static_cast<gid_t>(named_group(group, group_file));
    else
      out.additional_gids = groups_of(entry->name, group_file);
  }
  auto& gids = out.additional_gids;
  gids.erase(std::remove(gids.begin(), gids.end(), out.gid), gids.end());
  gids.insert(gids.begin(), out.gid);
  return out;
}

std::pair<uid_t, gid_t> resolve_chown(const std::string& spec, const ImageFileReader& read) {
  const auto [user, group] = split_spec(spec);
  // A number that is not an id is a name, as in BuildKit: unknown, as a rule.
  const auto id_of = [](const std::string& text) -> std::optional<std::int64_t> {
    if (text == "root") return 0;
    const auto value = parse_int(text);
    return value && *value >= 0 && *value <= kMaxId ? value : std::nullopt;
  };
  std::int64_t uid = 0, gid = 0;
  if (const auto id = id_of(user)) {
    uid = gid = *id;
  } else if (const auto entry = find_user(read("/etc/passwd"), [&](const PasswdEntry& e) { return e.name == user; })) {
    uid = entry->uid;
    gid = entry->gid;
  }
  if (group.empty()) return {static_cast<uid_t>(uid), static_cast<gid_t>(gid)};
  if (const auto id = id_of(group)) {
    gid = *id;
  } else if (const auto entry = find_group(read("/etc/group"), [&](const GroupEntry& e) { return e.name == group; })) {
    gid = entry->gid;
  }
  return {static_cast<uid_t>(uid), static_cast<gid_t>(gid)};
}

}  // namespace cbuild::sandbox
