// SPDX-License-Identifier: Apache-2.0
#include "cli/result_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "base/sys.h"
#include "base/text.h"
#include "cli/flags/target_outputs.h"
#include "cli/metadata.h"
#include "cli/page/build_page.h"
#include "cli/report/error_text.h"
#include "cli/report/history.h"

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

std::vector<std::string> id_files(const BuildLine& line) {
  if (line.iid_file.empty()) return {};
  std::vector<std::string> paths;
  for (const std::string& target : line.request.inputs.targets) paths.push_back(for_target(line.iid_file, target));
  return paths;
}

}  // namespace

void empty_id_files(const BuildLine& line) {
  for (const std::string& path : id_files(line))
    if (const auto st = sys::try_stat_at(AT_FDCWD, path, 0); st && S_ISREG(st->st_mode))
      (void)::truncate(path.c_str(), 0);  // where that is not allowed, writing it says so
}

void remove_empty_id_files(const BuildLine& line) {
  for (const std::string& path : id_files(line)) {
    const auto st = sys::try_stat_at(AT_FDCWD, path, 0);
    if (!st || !S_ISREG(st->st_mode) || st->st_size != 0) continue;
    std::error_code ignored;
    const std::filesystem::path file = std::filesystem::canonical(path, ignored);  // a link to it stays
    (void)::unlink(file.c_str());
  }
}

std::function<void(const engine::BuildResult&)> result_writer(const BuildLine& line) {
  if (line.iid_file.empty() && line.metadata_file.empty()) return {};
  return [line = line](const engine::BuildResult& result) {
    if (!line.iid_file.empty()) write_image_ids(line.iid_file, result.images);
    if (!line.metadata_file.empty()) write_output_file(line.metadata_file, metadata_json(line, result));
  };
}

bool write_report(const BuildLine& line, const engine::Session& session, const std::string& build) {
  if (line.report_file.empty()) return true;
  try {
    if (build.empty())
      throw Error(ErrorCode::not_found,
                  cat("--report: ", line.report_file, " is not written: history has no such build"));
    cache::Store store(engine::store_options(session));
    write_output_file(line.report_file, page_of(page_document(store, find_build(store, build))));
    return true;
  } catch (Error& error) {
    error.add_context(cat("write ", line.report_file));
    std::cerr << error_text(error, session.root);
    return false;
  }
}

}  // namespace cbuild::cli
