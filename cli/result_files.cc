// SPDX-License-Identifier: Apache-2.0
#include "cli/result_files.h"

#include <string>
#include <vector>

#include "base/output_file.h"
#include "base/text.h"
#include "cli/metadata.h"
#include "cli/target_outputs.h"

namespace cbuild::cli {
namespace {

/// One file with a line for each target, or with the placeholder in its name a file for each.
void write_image_ids(const std::string& iid_file, const std::vector<engine::TargetImage>& images) {
  std::vector<std::string> ids;
  for (const engine::TargetImage& image : images) {
    ids.push_back(image.id.str());
    const std::string path = for_target(iid_file, image.target);
    if (path != iid_file) write_output_file(path, ids.back());
  }
  if (for_target(iid_file, images.front().target) != iid_file) return;
  write_output_file(iid_file, ids.size() == 1 ? ids.front() : cat(join(ids, "\n"), "\n"));
}

}  // namespace

std::function<void(const engine::BuildResult&)> result_writer(const BuildLine& line) {
  if (line.iid_file.empty() && line.metadata_file.empty()) return {};
  return [iid_file = line.iid_file, metadata_file = line.metadata_file, warnings = line.metadata_warnings,
          outputs = line.request.outputs.list](const engine::BuildResult& result) {
    if (!iid_file.empty()) write_image_ids(iid_file, result.images);
    if (!metadata_file.empty()) write_output_file(metadata_file, metadata_json(outputs, result, warnings));
  };
}

}  // namespace cbuild::cli
