// SPDX-License-Identifier: Apache-2.0
#include "oci/routes/certificates.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::routes {
namespace {

constexpr std::size_t kMostCertificate = 1u << 20;

}  // namespace

std::string read_certificate(const std::string& path) {
  if (auto text = sys::try_read_plain(AT_FDCWD, path, kMostCertificate)) return *std::move(text);
  throw Error(ErrorCode::input, path + " does not exist");
}

ClientPair checked_pair(std::string certificate, std::string key) {
  (void)read_certificate(certificate);
  (void)read_certificate(key);
  return {std::move(certificate), std::move(key)};
}

void read_certificate_directory(const std::string& path, std::string& authorities, std::vector<ClientPair>& clients) {
  const auto dir = sys::try_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  if (!dir) return;
  const std::vector<std::string> names = sys::list_dir(dir->get());
  for (const std::string& name : names) {
    if (name.ends_with(".crt")) authorities += read_certificate(join_path(path, name)) + "\n";
    if (!name.ends_with(".cert")) continue;
    const std::string key = name.substr(0, name.size() - 4) + "key";
    if (std::find(names.begin(), names.end(), key) == names.end())
      throw Error(ErrorCode::input, cat(join_path(path, name), ": ", key, " is missing"));
    clients.push_back(checked_pair(join_path(path, name), join_path(path, key)));
  }
}

}  // namespace cbuild::oci::routes
