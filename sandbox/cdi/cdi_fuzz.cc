// SPDX-License-Identifier: Apache-2.0
// A CDI file is either refused with Error{input} or gives devices whose names and paths are safe to use.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "sandbox/cdi/cdi.h"

namespace {

using namespace cbuild;
using namespace cbuild::sandbox;

void check_edits(const cdi::Edits& edits) {
  for (const std::string& entry : edits.environment)
    CBUILD_CHECK(entry.find('=') != std::string::npos && entry[0] != '=');
  for (const DeviceNode& node : edits.nodes) CBUILD_CHECK(node.path.starts_with('/') && node.mode <= 07777);
  for (const cdi::HostMount& mount : edits.mounts)
    CBUILD_CHECK(mount.host_path.starts_with('/') && mount.container_path.size() > 1 && mount.container_path[0] == '/');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const cdi::SpecFile file = cdi::parse_spec({reinterpret_cast<const char*>(data), size});
    CBUILD_CHECK(file.kind.find('/') != std::string::npos);
    check_edits(file.edits);
    for (const cdi::Device& device : file.devices) {
      CBUILD_CHECK(device.name.starts_with(file.kind + "="));
      check_edits(device.edits);
    }
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::input);
  }
  return 0;
}
