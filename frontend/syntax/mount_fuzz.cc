// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "frontend/syntax/mount_spec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  const std::string_view csv(reinterpret_cast<const char*>(data), size);
  const auto same = [](std::string_view value) { return std::string(value); };
  bool parsed = false;
  try {
    const frontend::MountSpec spec = frontend::parse_mount(csv, same);
    CBUILD_CHECK(spec == frontend::parse_mount(csv, same));
    CBUILD_CHECK(spec.size_bytes == 0 || spec.type == frontend::MountSpec::Type::tmpfs);
    parsed = true;
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::input);
  }
  try {
    frontend::check_mount(csv);
  } catch (const Error&) {
    CBUILD_CHECK(!parsed);
  }
  try {
    frontend::parse_device(csv);
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::input);
  }
  return 0;
}
