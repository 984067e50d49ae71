// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/builders.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/text.h"
#include "cli/flags/docker_engine.h"
#include "cli/report/go_template.h"
#include "cli/report/text_output.h"
#include "oci/platform.h"
#include "sandbox/binfmt.h"

namespace cbuild::cli {
namespace {

using BuilderJson = nlohmann::ordered_json;

constexpr const char* kDriver = "cbuild";
constexpr const char* kBuilderVersion = "cbuild " CBUILD_VERSION;
constexpr const char* kArchitectures[] = {"amd64", "arm64",   "386",     "arm",    "ppc64le",
                                          "s390x", "riscv64", "loong64", "mips64", "mips64le"};

std::vector<std::string> platforms_here() {
  const oci::Platform host = oci::host_platform();
  std::vector<std::string> out = {host.str()};
  for (const char* architecture : kArchitectures) {
    if (architecture == host.architecture) continue;
    if (!sandbox::is_foreign(architecture, host.architecture) ||
        sandbox::find_interpreter(architecture) == sandbox::Interpreter::present)
      out.push_back(cat("linux/", architecture));
  }
  return out;
}

BuilderJson to_json(const Builder& builder) {
  BuilderJson node{{"Name", builder.name},
                   {"Endpoint", builder.endpoint},
                   {"Status", "running"},
                   {"Version", kBuilderVersion},
                   {"Platforms", builder.platforms}};
  return {{"Name", builder.name},
          {"Driver", kDriver},
          {"Current", true},
          {"Dynamic", false},
          {"Nodes", BuilderJson::array({node})}};
}

}  // namespace

Builder current_builder() { return {docker_context_name(), docker_engine("").url, platforms_here()}; }

std::string list_builders(const Builder& builder, const std::string& format) {
  if (format == "json") return to_json(builder).dump() + "\n";
  if (!format.empty() && format != "table") {
    const bool is_table = format.starts_with("table ");
    return fill_template(is_table ? format.substr(6) : format, to_json(builder)) + "\n";
  }
  Table table({"NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "BUILDKIT", "PLATFORMS"});
  table.add({builder.name + "*", kDriver, "", "", ""});
  table.add({cat(" \\_ ", builder.name), cat(" \\_ ", builder.endpoint), "running", kBuilderVersion,
             join(builder.platforms, ", ")});
  std::ostringstream out;
  table.print(out);
  return out.str();
}

std::string describe_builder(const Builder& builder) {
  return sanitize_for_terminal(
      cat("Name:   ", builder.name, "\nDriver: ", kDriver, "\n\nNodes:\nName:             ", builder.name,
          "\nEndpoint:         ", builder.endpoint, "\nStatus:           running\nBuildKit version: ", kBuilderVersion,
          "\nPlatforms:        ", join(builder.platforms, ", "), "\n"));
}

}  // namespace cbuild::cli
