// SPDX-License-Identifier: Apache-2.0
#include "cache/store_secret.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/random.h"
#include "base/sys.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

namespace {

constexpr char kFile[] = "secret-key";
constexpr std::size_t kKeyDigits = 64, kMaxKey = 1024;

std::string read_key(int root) {
  const auto file = sys::try_open_at(root, kFile, O_RDONLY | O_NOFOLLOW);
  return file ? sys::read_all(file->get(), kMaxKey) : std::string();
}

}  // namespace

std::string secret_key(Store& store) {
  if (std::string key = read_key(store.root_fd()); key.size() >= kKeyDigits) return key;
  Store::Impl& impl = store.impl();
  const std::string name = impl.temp_name();
  const int tmp = impl.dir(Dir::tmp);
  {
    const UniqueFd file = sys::open_at(tmp, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    sys::write_all(file.get(), random_digest().hex());
  }
  // Of two that make it at once the first one's stays.
  if (!sys::rename_noreplace(tmp, name, store.root_fd(), kFile)) (void)::unlinkat(tmp, name.c_str(), 0);
  return read_key(store.root_fd());
}

}  // namespace cbuild::cache
