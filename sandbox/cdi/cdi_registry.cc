// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "sandbox/cdi/cdi.h"

namespace cbuild::sandbox::cdi {
namespace {

constexpr std::size_t kMaxFile = 4u << 20;
constexpr std::string_view kClassAnnotation = "org.mobyproject.buildkit.device.class";
constexpr std::string_view kAutoAllowAnnotation = "org.mobyproject.buildkit.device.autoallow";

bool is_spec_name(const std::string& name) { return name.ends_with(".json") || name.ends_with(".yaml"); }

std::string annotation(const Device& device, std::string_view key) {
  const auto found = device.annotations.find(std::string(key));
  return found == device.annotations.end() ? std::string() : found->second;
}

}  // namespace

Registry Registry::load(const std::vector<std::string>& directories) {
  Registry registry;
  for (std::size_t i = 0; i < directories.size(); ++i) registry.add_directory(directories[i], i);
  std::erase_if(registry.devices_, [](const auto& entry) { return entry.second.conflict; });
  return registry;
}

void Registry::add_directory(const std::string& directory, std::size_t priority) {
  const auto fd = sys::try_open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return;
  std::vector<std::string> names = sys::list_dir(fd->get());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (!is_spec_name(name)) continue;
    const std::string path = cat(directory, "/", name);
    try {
      add_file(parse_spec(sys::read_file_at(fd->get(), name, kMaxFile)), path, priority);
    } catch (const Error& error) {
      problems_.push_back(cat(path, ": ", error.message()));
    }
  }
}

void Registry::add_file(SpecFile file, const std::string& path, std::size_t priority) {
  file_edits_.push_back(std::move(file.edits));
  for (Device& device : file.devices) {
    const std::string name = device.name;
    const auto [entry, is_new] = devices_.try_emplace(name);
    if (!is_new && entry->second.priority == priority) {
      entry->second.conflict = true;
      problems_.push_back(cat(path, ": device ", name, " is also in another file of the directory"));
      continue;
    }
    entry->second = {std::move(device), file_edits_.size() - 1, priority, false};
  }
}

std::vector<std::string> Registry::find(std::string_view request) const {
  std::vector<std::string> found;
  const std::size_t equals = request.find('=');
  const std::string kind = cat(request.substr(0, equals), "=");
  const std::string_view name = equals == std::string_view::npos ? std::string_view() : request.substr(equals + 1);
  if (request.find('/') != std::string_view::npos) {
    for (auto it = devices_.lower_bound(kind); it != devices_.end() && it->first.starts_with(kind); ++it) {
      if (!name.empty() && name != "*" && it->first != request) continue;
      found.push_back(it->first);
      if (name != "*") break;
    }
  }
  if (!found.empty()) return found;
  for (const auto& [qualified, entry] : devices_)
    if (annotation(entry.device, kClassAnnotation) == request) found.push_back(qualified);
  return found;
}

bool Registry::is_auto_allowed(const std::string& name) const {
  const auto found = devices_.find(name);
  if (found == devices_.end()) return false;
  const std::string value = annotation(found->second.device, kAutoAllowAnnotation);
  return value == "1" || value == "t" || value == "T" || value == "true" || value == "TRUE" || value == "True";
}

Edits Registry::edits(const std::vector<std::string>& names) const {
  Edits out;
  std::set<std::size_t> files;
  std::set<std::string_view> done;
  for (const std::string& name : names) {
    const auto found = devices_.find(name);
    if (found == devices_.end() || !done.insert(name).second) continue;
    if (files.insert(found->second.file).second) out.add(file_edits_[found->second.file]);
    out.add(found->second.device.edits);
  }
  return out;
}

}  // namespace cbuild::sandbox::cdi
