// SPDX-License-Identifier: Apache-2.0
#include "cli/report/use_text.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.h"

namespace cbuild::cli {

nlohmann::ordered_json use_json(const ResourceUse& use) {
  return {{"cpu_user_ns", use.user_ns},
          {"cpu_system_ns", use.system_ns},
          {"peak_memory_bytes", use.peak_memory_bytes},
          {"read_bytes", use.read_bytes},
          {"written_bytes", use.written_bytes},
          {"oom_killed", use.oom_killed}};
}

std::string cpu_text(const ResourceUse& use) {
  return use.user_ns + use.system_ns == 0 ? "-" : format_seconds(use.user_ns + use.system_ns);
}

std::string memory_text(const ResourceUse& use) {
  return use.peak_memory_bytes == 0 ? "-" : format_size(use.peak_memory_bytes);
}

std::string use_text(const ResourceUse& use) {
  std::vector<std::string> parts;
  if (use.user_ns + use.system_ns != 0) parts.push_back(cat("cpu ", cpu_text(use)));
  if (use.peak_memory_bytes != 0) parts.push_back(cat("memory ", memory_text(use)));
  if (use.read_bytes != 0) parts.push_back(cat("read ", format_size(use.read_bytes)));
  if (use.written_bytes != 0) parts.push_back(cat("written ", format_size(use.written_bytes)));
  if (use.oom_killed) parts.emplace_back("out of memory");
  return join(parts, ", ");
}

}  // namespace cbuild::cli
