// SPDX-License-Identifier: Apache-2.0
#include "cli/images_command.h"

#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>

#include "base/text.h"
#include "cache/store.h"
#include "cli/exit_codes.h"
#include "cli/flags.h"
#include "cli/session.h"

namespace cbuild::cli {

int images_command(Arguments arguments) {
  std::string root;
  CLI::App app{"List the images kept in the store", "cbuild images"};
  if (!parse_flags(app, root, std::move(arguments))) return exit_code::kSuccess;
  const Session session = start_session(root);
  cache::Store store({.root = session.root, .user_xattr = session.unprivileged});
  const std::vector<cache::Image> images = store.images();
  std::size_t width = 4;
  for (const cache::Image& image : images) width = std::max(width, image.name.size());
  std::cout << std::left << std::setw(static_cast<int>(width)) << "NAME" << "  " << std::setw(20) << "DIGEST"
            << "CREATED\n";
  for (const cache::Image& image : images)
    std::cout << std::setw(static_cast<int>(width)) << image.name << "  " << std::setw(20)
              << image.manifest.str().substr(0, 19) << format_rfc3339(image.created_ns / 1'000'000'000) << "\n";
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
