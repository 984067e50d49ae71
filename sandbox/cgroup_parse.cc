// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "base/text.h"
#include "sandbox/cgroup.h"

namespace cbuild::sandbox {
namespace {

/// mountinfo writes blanks and backslashes as three octal digits.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' && i + 3 < text.size() ? parse_int(text.substr(i + 1, 3), 8) : std::nullopt;
    out += code ? static_cast<char>(*code) : text[i];
    if (code) i += 3;
  }
  return out;
}

struct CgroupMount {
  std::string root, mount_point;
  std::vector<std::string> options;
  bool unified = false;
};

std::vector<CgroupMount> cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const std::string& line : split(mountinfo, '\n')) {
    const auto separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    const auto left = split(std::string_view(line).substr(0, separator), ' ');
    const auto right = split(std::string_view(line).substr(separator + 3), ' ');
    if (left.size() < 5 || right.size() < 3 || (right[0] != "cgroup" && right[0] != "cgroup2")) continue;
    mounts.push_back({unescape(left[3]), unescape(left[4]), split(right[2], ','), right[0] == "cgroup2"});
  }
  return mounts;
}

/// The directory of `path` of the hierarchy as this mount shows it.
std::optional<std::string> visible_directory(const CgroupMount& mount, const std::string& path) {
  if (path.rfind("/..", 0) == 0) return std::nullopt;
  if (mount.root == "/") return clean_path(cat(mount.mount_point, path));
  if (path != mount.root && path.rfind(mount.root + "/", 0) != 0) return std::nullopt;
  return clean_path(cat(mount.mount_point, path.substr(mount.root.size())));
}

}  // namespace

std::vector<CgroupHierarchy> parse_hierarchies(std::string_view mountinfo, std::string_view self_cgroup) {
  const std::vector<CgroupMount> mounts = cgroup_mounts(mountinfo);
  std::vector<CgroupHierarchy> out;
  for (const std::string& line : split(self_cgroup, '\n')) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string list = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    const auto controllers = list.empty() ? std::vector<std::string>{} : split(list, ',');
    for (const CgroupMount& mount : mounts) {
      const bool same = mount.unified
                            ? list.empty()
                            : !list.empty() && std::all_of(controllers.begin(), controllers.end(), [&](const auto& c) {
                                return std::find(mount.options.begin(), mount.options.end(), c) != mount.options.end();
                              });
      const auto directory = same ? visible_directory(mount, path) : std::nullopt;
      if (!directory) continue;
      out.push_back({controllers, mount.mount_point, *directory, mount.unified});
      break;
    }
  }
  return out;
}

std::optional<std::uint64_t> parse_oom_kills(std::string_view text) {
  for (const std::string& line : split(text, '\n')) {
    if (line.rfind("oom_kill ", 0) != 0) continue;
    if (const auto value = parse_int(trim(std::string_view(line).substr(9)))) return static_cast<std::uint64_t>(*value);
  }
  return std::nullopt;
}

namespace {

std::optional<std::int64_t> number_of(std::string_view text) {
  const auto value = parse_int(trim(text));
  return value && *value >= 0 ? value : std::nullopt;
}

template <typename T>
void set_number(std::string_view text, std::int64_t factor, T& field) {
  if (const auto value = number_of(text)) field = static_cast<T>(*value * factor);
}

void add_cpu_stat(std::string_view text, ResourceUse& use) {
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    if (words.size() != 2) continue;
    if (words[0] == "user_usec") set_number(words[1], 1000, use.user_ns);
    if (words[0] == "system_usec") set_number(words[1], 1000, use.system_ns);
  }
}

/// The sum over all devices, v2: "8:0 rbytes=4096 wbytes=0 rios=1 ...", v1: "8:0 Read 4096".
void add_io(std::string_view text, ResourceUse& use) {
  std::uint64_t read = 0, written = 0;
  bool any = false;
  const auto add = [&any](std::string_view number, std::uint64_t& sum) {
    const auto value = number_of(number);
    if (value) sum += static_cast<std::uint64_t>(*value);
    any |= value.has_value();
  };
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    for (const std::string& word : words) {
      if (word.starts_with("rbytes=")) add(std::string_view(word).substr(7), read);
      if (word.starts_with("wbytes=")) add(std::string_view(word).substr(7), written);
    }
    if (words.size() == 3 && words[1] == "Read") add(words[2], read);
    if (words.size() == 3 && words[1] == "Write") add(words[2], written);
  }
  if (!any) return;
  use.read_bytes = read;
  use.written_bytes = written;
}

}  // namespace

void add_cgroup_use(std::string_view file, std::string_view text, ResourceUse& use) {
  if (file == "cpu.stat") add_cpu_stat(text, use);
  if (file == "cpuacct.usage_user") set_number(text, 1, use.user_ns);
  if (file == "cpuacct.usage_sys") set_number(text, 1, use.system_ns);
  if (file == "memory.peak" || file == "memory.max_usage_in_bytes") set_number(text, 1, use.peak_memory_bytes);
  if (file == "io.stat" || file == "blkio.throttle.io_service_bytes") add_io(text, use);
}

}  // namespace cbuild::sandbox
