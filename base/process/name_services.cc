// SPDX-License-Identifier: Apache-2.0
#include "base/process/name_services.h"

#ifdef CBUILD_STATIC
#include <nss.h>

#include <mutex>

#include "base/error.h"
#endif

namespace cbuild {

void use_builtin_name_services() {
#ifdef CBUILD_STATIC
  static std::once_flag done;
  std::call_once(done, [] {
    for (const char* database : {"passwd", "group", "initgroups"})
      CBUILD_CHECK(__nss_configure_lookup(database, "files") == 0);
    CBUILD_CHECK(__nss_configure_lookup("hosts", "files dns") == 0);
  });
#endif
}

}  // namespace cbuild
