// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "bake/bake_files.h"
#include "bake/print.h"
#include "base/diagnostic.h"
#include "base/error.h"

/// The first byte chooses the kind of file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cbuild;
  static constexpr const char* kNames[] = {"a.hcl", "a.json", "a.yml", "a"};
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    const bake::Config config = bake::read_config({{kNames[data[0] % 4], text}}, {});
    (void)bake::list_targets(config, true);
    (void)bake::list_variables(config, false);
    (void)bake::to_json(bake::resolve(config, {"*"}, {}, {}));
  } catch (const DiagnosticError&) {
  } catch (const Error&) {
  }
  return 0;
}
