// SPDX-License-Identifier: Apache-2.0
// Unpacks hostile bytes into a directory next to a canary, which must not change. The first byte chooses the options.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "oci/layer/unpack.h"

namespace {

using namespace cbuild;
using namespace cbuild::oci::layer;

constexpr std::string_view kCanary = "canary";

UniqueFd memory_file(std::string_view content) {
  UniqueFd fd(memfd_create("unpack-fuzz", MFD_CLOEXEC));
  sys::write_all(fd.get(), content);
  lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

UnpackOptions options_from(std::uint8_t choice) {
  UnpackOptions options;
  constexpr Whiteouts kModes[] = {Whiteouts::overlay, Whiteouts::apply, Whiteouts::keep};
  options.whiteouts = kModes[choice % 3];
  options.user_xattr = (choice & 4) != 0;
  options.max_bytes = 1 << 20;
  if ((choice & 8) != 0) options.owner = {0, 0};
  if ((choice & 16) != 0) options.threads = 1;
  return options;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const UniqueFd archive = memory_file({reinterpret_cast<const char*>(data + 1), size - 1});
  const TempDir outer = TempDir::in_tmp("unpack-fuzz");
  sys::write_file_at(outer.fd(), "canary", kCanary);
  const struct stat before = sys::stat_at(outer.fd(), "canary");
  sys::mkdir_at(outer.fd(), "target", 0700);
  const UniqueFd target = sys::open_at(outer.fd(), "target", O_RDONLY | O_DIRECTORY);
  try {
    is_archive(archive.get());
    unpack(archive.get(), target.get(), options_from(data[0]));
  } catch (const Error&) {
  }
  const struct stat after = sys::stat_at(outer.fd(), "canary");
  CBUILD_CHECK(sys::read_file_at(outer.fd(), "canary", 100) == kCanary);
  CBUILD_CHECK(before.st_mode == after.st_mode && before.st_uid == after.st_uid);
  CBUILD_CHECK(before.st_ctim.tv_sec == after.st_ctim.tv_sec && before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
  CBUILD_CHECK(sys::list_dir(outer.fd()).size() == 2);
  return 0;
}
