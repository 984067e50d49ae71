// SPDX-License-Identifier: Apache-2.0
// A place that answers with hostile bytes: the input, cut at NUL bytes, is its manifest and then what it gives for each
// further question. Whatever it says, reading it ends, with a cache or with an Error that makes it a miss.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "cache/remote/read_cache.h"

namespace {

using namespace cbuild;
using namespace cbuild::cache;

class HostileBackend final : public CacheBackend {
 public:
  explicit HostileBackend(std::string_view answers) : answers_(answers) {}
  std::string name() const override { return "hostile"; }
  std::string locator() const override { return "docker-image://hostile.test/cache:main"; }
  std::string manifest(const std::optional<Digest>&) override { return next(); }
  std::string document(const oci::Descriptor&) override { return next(); }
  void put_blob(const oci::Descriptor&, const std::optional<oci::Reference>&) override {}
  bool offer_blob(const oci::Descriptor&, const std::optional<oci::Reference>&) override { return false; }
  bool put_manifest(std::string_view) override { return true; }

 private:
  std::string next() {
    CBUILD_CHECK(++questions_ < 10);
    const std::size_t end = answers_.find('\0');
    const std::string_view answer = answers_.substr(0, end);
    answers_.remove_prefix(end == std::string_view::npos ? answers_.size() : end + 1);
    return std::string(answer);
  }

  std::string_view answers_;
  unsigned questions_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  HostileBackend backend({reinterpret_cast<const char*>(data), size});
  try {
    const RemoteDocument found = read_cache(backend, {oci::host_platform()});
    CBUILD_CHECK(found.locator == backend.locator());
    CBUILD_CHECK(parse_remote_index(to_json(found.index)) == found.index);
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    CBUILD_CHECK(code == ErrorCode::corrupt || code == ErrorCode::unsupported || code == ErrorCode::not_found);
  }
  return 0;
}
