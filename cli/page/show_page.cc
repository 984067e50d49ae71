// SPDX-License-Identifier: Apache-2.0
#include "cli/page/show_page.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/fd.h"
#include "base/process/subprocess.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::cli {
namespace {

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

std::string directory_for_pages() {
  for (const char* name : {"XDG_RUNTIME_DIR", "TMPDIR"})
    if (is_set(name)) return std::getenv(name);
  return "/tmp";
}

}  // namespace

std::string write_new_page(const std::string& build, const std::string& page) {
  std::string path = cat(directory_for_pages(), "/cbuild-", build, "-XXXXXX.html");
  const UniqueFd file(::mkostemps(path.data(), 5, O_CLOEXEC));
  if (!file) throw_errno(errno, cat("create ", path));
  sys::write_all(file.get(), page);
  return path;
}

void show_page(const std::string& file) {
  if (!is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY")) return;
  try {
    run_command({"xdg-open", file});
  } catch (const Error&) {
    // Its path has been printed.
  }
}

}  // namespace cbuild::cli
