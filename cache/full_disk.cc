// SPDX-License-Identifier: Apache-2.0
#include "cache/full_disk.h"

#include "base/error.h"
#include "base/sys.h"
#include "cache/store_impl.h"

namespace cbuild::cache {

bool unless_full(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::no_space) throw;
    return false;
  }
}

void with_room(Store::Impl& store, const std::function<void()>& work) {
  if (unless_full(work)) return;
  const int scans = store.dir(Dir::scans);
  for (const std::string& name : sys::list_dir(scans)) sys::remove_all_at(scans, name);
  store.index.read([](Database& db) { db.reuse_log(); });
  work();
}

}  // namespace cbuild::cache
