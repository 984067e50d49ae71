// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/spec.h"

/// Devices as the Container Device Interface describes them (https://github.com/cncf-tags/container-device-interface,
/// SPEC.md): files on the machine describe the needs of a step that uses a device.
namespace cbuild::sandbox::cdi {

/// A directory or file of the machine to be bound into the step.
struct HostMount {
  std::string host_path, container_path;
  bool read_only = false, no_suid = false, no_dev = false, no_exec = false;

  bool operator==(const HostMount&) const = default;
};

/// The changes that a device makes to a step.
struct Edits {
  std::vector<std::string> environment;  ///< "NAME=value"
  std::vector<DeviceNode> nodes;         ///< numbers 0:0 where the file leaves them to the machine's node
  std::vector<HostMount> mounts;
  std::vector<gid_t> additional_gids;
  std::vector<std::string> hooks;  ///< paths of the programs a container runtime would start

  bool operator==(const Edits&) const = default;
  /// Appends `other`.
  void add(const Edits& other);
};

struct Device {
  std::string name;                                ///< qualified: "vendor.com/class=name"
  std::map<std::string, std::string> annotations;  ///< of its file, overridden by its own
  Edits edits;

  bool operator==(const Device&) const = default;
};

/// One file.
struct SpecFile {
  std::string kind;  ///< "vendor.com/class"
  Edits edits;       ///< for each of its devices
  std::vector<Device> devices;
};

/// Parses a JSON or YAML file. Throws Error{input} with the reason.
SpecFile parse_spec(std::string_view text);

/// The devices of this machine.
class Registry {
 public:
  /// Reads the *.json and *.yaml files of `directories`, in rising priority: a device of a later directory replaces one
  /// of the same name; two of one directory cancel each other. Missing directories are empty. Files that cannot be used
  /// are in problems().
  static Registry load(const std::vector<std::string>& directories);

  /// Qualified names that `request` means, in order: "vendor.com/class=name", "vendor.com/class=*" (all),
  /// "vendor.com/class" (the first), else all devices whose class annotation (org.mobyproject.buildkit.device.class) is
  /// `request`. Empty: there is none.
  std::vector<std::string> find(std::string_view request) const;
  /// Whether the device's file says that no permission is needed (org.mobyproject.buildkit.device.autoallow).
  bool is_auto_allowed(const std::string& name) const;
  /// The changes of the devices `names` (as find() returns them); those that several devices of one file share come
  /// once.
  Edits edits(const std::vector<std::string>& names) const;
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  struct Entry {
    Device device;
    std::size_t file = 0;
    std::size_t priority = 0;
    bool conflict = false;
  };
  void add_directory(const std::string& directory, std::size_t priority);
  void add_file(SpecFile file, const std::string& path, std::size_t priority);

  std::vector<Edits> file_edits_;
  std::map<std::string, Entry, std::less<>> devices_;
  std::vector<std::string> problems_;
};

/// Where specs lie unless the user says otherwise.
inline const std::vector<std::string> kDefaultDirectories = {"/etc/cdi", "/var/run/cdi"};

}  // namespace cbuild::sandbox::cdi
