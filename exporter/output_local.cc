// SPDX-License-Identifier: Apache-2.0
// type=local, a row of output_type.h: the files of the result in a directory, as the caller's own.
#include "base/text.h"
#include "exporter/local_output.h"
#include "exporter/output_content.h"
#include "exporter/output_keys.h"
#include "exporter/output_type.h"

namespace cbuild::exporter {
namespace {

void set_local_mode(Output& output, std::string_view key, const std::string& value) {
  const std::string mode = to_lower(trim(value));
  if (!mode.empty() && mode != "copy" && mode != "delete")
    refuse_output(cat(key, " '", value, "' is not copy or delete"));
  output.delete_extra = mode == "delete";
}

constexpr OutputKey kLocalKeys[] = {
    {"mode", set_local_mode},
    {"platform-split",
     [](Output& o, std::string_view key, const std::string& v) { o.platform_split = output_truth(key, v); }},
};

void complete_local(Output& output) {
  if (output.dest.empty()) refuse_output("type=local needs dest=DIRECTORY");
}

void export_local(const OutputJob& job) {
  write_local(file_trees(job), job.output.dest, job.output.delete_extra, job.context.cancel);
}

}  // namespace

const OutputTraits kLocalOutput = {
    .type = OutputType::local,
    .name = "local",
    .content = OutputContent::files,
    .place = [](const Output&) { return OutputPlace::directory; },
    .keys = kLocalKeys,
    .complete = complete_local,
    .write = export_local,
};

}  // namespace cbuild::exporter
